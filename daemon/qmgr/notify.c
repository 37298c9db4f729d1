/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "base/arena.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"

#include "qmgr.h"

enum { CONNECT_MS = 10000 };

static bool
ask(struct message *m, const char *service, const struct ipc_message *message,
    const void *value, struct err *err)
{
	struct daemon *d = m->qmgr->daemon;
	struct arena *mem = arena_new();
	struct msg_bounce_done done = {0};
	struct stream *s = NULL;
	struct ipc ipc;
	bool ok;

	ok = daemon_connect(d, str_printf(mem, "private/%s", service).p, CONNECT_MS, &s,
			    err);
	if (ok) {
		stream_set_timeout_ms(s, m->qmgr->common.ipc_timeout * 1000);
		ipc_init(&ipc, s);
		ok = ipc_send(&ipc, message, value, err) &&
		     (ipc_receive(&ipc, mem, &ipc_bounce_done, &done, err) == IPC_DONE ||
		      err_set(err, ERR_TEMP, "no answer from service %s", service));
		if (ok && done.ok == 0)
			ok = err_set(err, ERR_TEMP, PRI_STR, STR_ARG(done.reason));
		stream_close(&s);
	}
	arena_free(&mem);
	return ok;
}

bool
notify_append(struct message *m, const char *service, const struct sched_recipient *r,
	      const struct msg_deliver_result *result, struct err *err)
{
	const struct msg_bounce_append entry = {
		.queue_id = m->id,
		.recipient = r->address,
		.orig_recipient = r->orig_address,
		.offset = r->offset,
		.dsn_orcpt = r->dsn_orcpt,
		.dsn_notify = r->dsn_notify,
		.dsn = result->dsn,
		.action = result->action,
		.reason = result->reason,
		.mta_type = result->mta_type,
		.mta_name = result->mta_name,
		.diag_type = result->diag_type,
		.diag_text = result->diag_text,
	};

	return ask(m, service, &ipc_bounce_append, &entry, err);
}

bool
notify_flush(struct message *m, const char *service, struct err *err)
{
	const struct msg_bounce_flush flush = {
		.queue_name = STR("active"),
		.queue_id = m->id,
		.message = m->fd,
		.flags = m->file.trace_flags & 65535,
		.encoding = m->file.encoding,
		.sendopts = m->file.sendopts & 65535,
		.sender = m->file.sender,
		.envelope_id = m->file.envelope_id,
		.dsn_return = m->file.dsn_ret,
		.content_offset = m->file.content_offset,
		.arrival_us = m->file.arrival_us,
	};

	return ask(m, service, &ipc_bounce_flush, &flush, err);
}

bool
notify_warn(struct message *m, int64_t expires_us, struct err *err)
{
	const struct msg_bounce_warn warn = {
		.queue_name = STR("active"),
		.queue_id = m->id,
		.message = m->fd,
		.encoding = m->file.encoding,
		.sendopts = m->file.sendopts & 65535,
		.sender = m->file.sender,
		.envelope_id = m->file.envelope_id,
		.dsn_return = m->file.dsn_ret,
		.content_offset = m->file.content_offset,
		.arrival_us = m->file.arrival_us,
		.expires_us = expires_us,
	};

	return ask(m, "defer", &ipc_bounce_warn, &warn, err);
}
