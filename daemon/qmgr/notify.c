/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/address.h"

#include "qmgr.h"

enum { CONNECT_MS = 10000, FLUSH_WARNING_MS = 60000 };

/* One question, one answer, on a connection of its own. */
static bool
exchange(struct message *m, struct arena *mem, const char *path,
	 const struct ipc_message *message, const void *value,
	 const struct ipc_message *answer, void *answer_out, struct err *err)
{
	struct stream *s = NULL;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(m->qmgr->daemon, path, CONNECT_MS, &s, err))
		return false;
	stream_set_timeout_ms(s, m->qmgr->common.ipc_timeout * 1000);
	ipc_init(&ipc, s);
	ok = ipc_send(&ipc, message, value, err) &&
	     (ipc_receive(&ipc, mem, answer, answer_out, err) == IPC_DONE ||
	      err_set(err, ERR_TEMP, "no answer from %s", path));
	stream_close(&s);
	return ok;
}

static bool
ask(struct message *m, const char *service, const struct ipc_message *message,
    const void *value, struct err *err)
{
	struct arena *mem = arena_new();
	struct msg_bounce_done done = {0};
	bool ok = exchange(m, mem, str_printf(mem, "private/%s", service).p, message,
			   value, &ipc_bounce_done, &done, err);

	if (ok && done.ok == 0)
		ok = err_set(err, ERR_TEMP, PRI_STR, STR_ARG(done.reason));
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
notify_verify(struct message *m, const struct sched_recipient *r,
	      const struct msg_deliver_result *result, struct err *err)
{
	static const enum verify_result results[] = {
		[DELIVER_SENT] = VERIFY_OK,
		[DELIVER_DEFERRED] = VERIFY_DEFER,
		[DELIVER_BOUNCED] = VERIFY_BOUNCE,
	};
	struct arena *mem = arena_new();
	struct msg_verify_status status;
	const struct msg_verify_update update = {
		.address = r->orig_address.len > 0 ? r->orig_address : r->address,
		.status = results[MIN_OF(result->outcome, DELIVER_BOUNCED)],
		.reason = result->reason,
	};
	struct str path =
		str_printf(mem, "private/" PRI_STR,
			   STR_ARG(m->qmgr->verify.address_verify_service_name));
	bool ok = exchange(m, mem, path.p, &ipc_verify_update, &update,
			   &ipc_verify_status, &status, err);

	arena_free(&mem);
	return ok;
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

/* A user may have no flush service, and much deferred mail: one line a minute says it. */
static void
warn_of_flush(struct qmgr *q, const char *why)
{
	int64_t now_ms = loop_now_ms(q->daemon->loop);

	if (now_ms < q->next_flush_warning_ms)
		return;
	q->next_flush_warning_ms = now_ms + FLUSH_WARNING_MS;
	log_warning(q->daemon->log, PRI_STR " service: %s",
		    STR_ARG(q->config.flush_service_name), why);
}

void
notify_flush_site(struct message *m, struct str recipient)
{
	struct qmgr *q = m->qmgr;
	struct msg_flush_add add = {.queue_id = m->id};
	struct msg_flush_done done = {.status = FLUSH_OK};
	struct arena *mem;
	struct str path;
	struct str local;
	struct err err;

	if (!address_split(recipient, &local, &add.site) || add.site.len == 0 ||
	    str_ieq(add.site, m->flush_site) ||
	    match_find(q->flush_sites, add.site, NULL, &err) != MATCH_YES)
		return;
	/* The next recipients are often of the same domain. */
	m->flush_site = add.site;
	mem = arena_new();
	path = str_printf(mem, "public/" PRI_STR, STR_ARG(q->config.flush_service_name));
	if (!exchange(m, mem, path.p, &ipc_flush_add, &add, &ipc_flush_done, &done, &err))
		warn_of_flush(q, err.text);
	else if (done.status != FLUSH_OK)
		warn_of_flush(q, "request was refused");
	arena_free(&mem);
}
