/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pass.h"

#include "base/arena.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "daemon/daemon.h"

enum { RECEIVE_MS = 10000 };

bool
daemon_pass(struct daemon *d, const char *class_and_name, int fd,
	    const struct daemon_passed *passed, int timeout_ms, struct err *err)
{
	struct msg_pass_connection m = {.client = fd,
					.client_address = passed->client_address,
					.client_port = passed->client_port,
					.server_address = passed->server_address,
					.server_port = passed->server_port,
					.is_screened = passed->is_screened};
	struct msg_pass_taken taken;
	struct arena *mem;
	struct stream *s;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(d, class_and_name, timeout_ms, &s, err))
		return false;
	stream_set_deadline_ms(s, loop_deadline_ms(d->loop, timeout_ms));
	mem = arena_new();
	ipc_init(&ipc, s);
	ok = ipc_send(&ipc, &ipc_pass_connection, &m, err) && ipc_flush(&ipc, err);
	if (ok) {
		enum ipc_result result =
			ipc_receive(&ipc, mem, &ipc_pass_taken, &taken, err);

		ok = result == IPC_DONE;
		if (result == IPC_CLOSED)
			ok = err_set(err, ERR_TEMP, "the service has closed");
	}
	arena_free(&mem);
	stream_close(&s);
	return ok;
}

bool
pass_receive(struct stream *from, struct arena *mem, struct daemon_passed *passed_out,
	     int *fd_out, struct err *err)
{
	struct msg_pass_connection m;
	const struct msg_pass_taken taken = {.taken = 1};
	enum ipc_result result;
	struct ipc ipc;

	stream_accept_fds(from);
	stream_set_deadline_ms(from, loop_deadline_ms(stream_loop(from), RECEIVE_MS));
	ipc_init(&ipc, from);
	result = ipc_receive(&ipc, mem, &ipc_pass_connection, &m, err);
	if (result == IPC_CLOSED)
		return err_set(err, ERR_TEMP, "no connection was passed");
	if (result != IPC_DONE)
		return false;
	*passed_out = (struct daemon_passed){.client_address = m.client_address,
					     .client_port = m.client_port,
					     .server_address = m.server_address,
					     .server_port = m.server_port,
					     .is_screened = m.is_screened != 0};
	*fd_out = m.client;
	/* From here on it is ours, whether the sender hears of it or not. */
	if (!ipc_send(&ipc, &ipc_pass_taken, &taken, err) || !ipc_flush(&ipc, err))
		err->kind = ERR_NONE;
	return true;
}
