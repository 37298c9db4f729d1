/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "session.h"

enum { CONNECT_MS = 10000, MS = 1000 };

static bool
query(struct session *s, struct arena *mem, struct str address,
      struct msg_verify_status *out, struct err *err)
{
	struct smtpd *d = s->smtpd;
	const struct msg_verify_query question = {.address = address};
	struct str path = str_printf(mem, "private/" PRI_STR,
				     STR_ARG(d->verify.address_verify_service_name));
	struct stream *stream = NULL;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(d->daemon, path.p, CONNECT_MS, &stream, err))
		return false;
	stream_set_timeout_ms(stream, d->common.ipc_timeout * MS);
	ipc_init(&ipc, stream);
	ok = ipc_send(&ipc, &ipc_verify_query, &question, err) &&
	     (ipc_receive(&ipc, mem, &ipc_verify_status, out, err) == IPC_DONE ||
	      err_set(err, ERR_TEMP, "no answer from %s", path.p));
	stream_close(&stream);
	return ok;
}

static enum access_verified
verified(int64_t status)
{
	return status == VERIFY_OK       ? ACCESS_DELIVERABLE
	       : status == VERIFY_BOUNCE ? ACCESS_UNDELIVERABLE
					 : ACCESS_NOT_NOW;
}

/* Ask, and again while the probe is under way. */
static bool
ask(void *arg, struct arena *mem, struct str address, enum access_verified *status_out,
    struct str *reason_out)
{
	struct session *s = arg;
	const struct verify_config *c = &s->smtpd->verify;
	struct msg_verify_status status;
	struct err err;

	for (int i = 1;; i++) {
		if (!query(s, mem, address, &status, &err)) {
			log_warning(s->smtpd->daemon->log, PRI_STR " service failure: %s",
				    STR_ARG(c->address_verify_service_name), err.text);
			return false;
		}
		if (status.status != VERIFY_PENDING || i >= c->address_verify_poll_count)
			break;
		if (!fiber_sleep(s->smtpd->daemon->loop,
				 c->address_verify_poll_delay * MS))
			break;
	}
	*status_out = verified(status.status);
	*reason_out = status.reason;
	return true;
}

void
verify_prepare(struct session *s)
{
	s->world.verify = ask;
	s->world.verify_arg = s;
}
