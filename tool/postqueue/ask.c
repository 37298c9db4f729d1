/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/macros.h"

#include "fiber/connect.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"

bool
ask_connect(const struct ask *a, struct str service, struct stream **out, struct err *err)
{
	static const char class[] = "public/";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t room = sizeof(to.sun_path) - sizeof(class);

	if (service.len > room)
		return err_set(err, ERR_CONFIG, "name of service is too long");
	memcpy(to.sun_path, class, sizeof(class));
	memcpy(to.sun_path + sizeof(class) - 1, service.p, service.len);
	if (!stream_connect(a->loop, (const struct sockaddr *)&to, sizeof(to), NULL, 0,
			    a->trigger_ms, out, err))
		return false;
	stream_set_timeout_ms(*out, a->timeout_ms);
	return true;
}

enum ask_result
ask_trigger(const struct ask *a, struct str service, struct str bytes, struct err *err)
{
	struct stream *s;
	bool ok;

	if (!ask_connect(a, service, &s, err))
		return ASK_DOWN;
	stream_set_timeout_ms(s, a->trigger_ms);
	ok = stream_write(s, bytes) == STREAM_OK && stream_flush(s) == STREAM_OK;
	if (!ok)
		IGNORE(err_set(err, ERR_TEMP, "write to " PRI_STR " service",
			       STR_ARG(service)));
	stream_close(&s);
	return ok ? ASK_DONE : ASK_DOWN;
}

static enum ask_result
result_of(const struct msg_flush_done *done)
{
	switch ((enum flush_status)done->status) {
	case FLUSH_OK:
		return ASK_DONE;
	case FLUSH_FAILED:
		return ASK_DOWN;
	case FLUSH_UNKNOWN_SITE:
		return ASK_UNKNOWN;
	case FLUSH_BAD_REQUEST:
		break;
	}
	return ASK_REFUSED;
}

static enum ask_result
exchange(const struct ask *a, struct str service, const struct ipc_message *message,
	 const void *value, struct err *err)
{
	struct msg_flush_done done = {.status = FLUSH_FAILED};
	struct arena *mem = arena_new();
	struct stream *s;
	struct ipc ipc;
	bool ok;

	if (!ask_connect(a, service, &s, err)) {
		arena_free(&mem);
		return ASK_DOWN;
	}
	ipc_init(&ipc, s);
	ok = ipc_send(&ipc, message, value, err) &&
	     ipc_receive(&ipc, mem, &ipc_flush_done, &done, err) == IPC_DONE;
	stream_close(&s);
	arena_free(&mem);
	return ok ? result_of(&done) : ASK_DOWN;
}

enum ask_result
ask_flush_site(const struct ask *a, struct str service, struct str site, struct err *err)
{
	const struct msg_flush_send_site m = {.site = site};

	return exchange(a, service, &ipc_flush_send_site, &m, err);
}

enum ask_result
ask_flush_file(const struct ask *a, struct str service, struct str id, struct err *err)
{
	const struct msg_flush_send_file m = {.queue_id = id};

	return exchange(a, service, &ipc_flush_send_file, &m, err);
}
