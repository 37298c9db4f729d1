/* SPDX-License-Identifier: Apache-2.0 */
#include "bounce.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/delay.h"
#include "mail/dsn.h"
#include "mail/dsn_request.h"
#include "queue/cleanup_status.h"
#include "queue/file.h"

#include "cleanup.h"
#include "log.h"

enum { BATCH = 1000, CONNECT_MS = 10000 };

static bool
ask(struct ipc *ipc, struct arena *mem, const struct ipc_message *message,
    const void *value, struct err *err)
{
	struct msg_bounce_done done;

	if (!ipc_send(ipc, message, value, err) ||
	    ipc_receive(ipc, mem, &ipc_bounce_done, &done, err) != IPC_DONE)
		return false;
	return done.ok != 0 || err_set(err, ERR_TEMP, PRI_STR, STR_ARG(done.reason));
}

/* Why: a rule of the checks has words and a status code of its own. */
struct reason {
	struct dsn_status status;
	struct str text;
};

/* A milter's words are a whole reply, "554 5.7.9 no way". */
static struct str
without_code(struct str text)
{
	bool has_code = text.len > 4 && char_is_digit(text.p[0]) &&
			char_is_digit(text.p[1]) && char_is_digit(text.p[2]) &&
			(text.p[3] == ' ' || text.p[3] == '-');

	return has_code ? str_skip(text, 4) : text;
}

static struct reason
reason_of(const struct message *m)
{
	const struct cleanup_text *usual = cleanup_text_find(m->status);
	struct reason r = {.text = str_from(usual->text)};

	if (usual->status == CLEANUP_CONT && m->why.len > 0)
		r.status = dsn_status_split(usual->dsn, without_code(m->why), &r.text);
	else
		r.status = dsn_status_split(usual->dsn, STR_EMPTY, &(struct str){0});
	return r;
}

static bool
append(struct message *m, struct ipc *ipc, const struct queue_recipient *r,
       const struct reason *why, struct err *err)
{
	const struct msg_bounce_append entry = {
		.queue_id = m->id,
		.recipient = r->address,
		.orig_recipient = r->original,
		.offset = r->offset,
		.dsn_orcpt = r->dsn_orcpt,
		.dsn_notify = r->dsn_notify,
		.dsn = str_from(why->status.text),
		.action = STR("failed"),
		.reason = why->text,
		.mta_type = STR_EMPTY,
		.mta_name = STR_EMPTY,
		.diag_type = STR_EMPTY,
		.diag_text = STR_EMPTY,
	};
	struct str delay = delay_format(m->mem, sys_now_us() - m->arrival_us, 2);

	if (!ask(ipc, m->mem, &ipc_bounce_append, &entry, err))
		return false;
	log_bounced(m->cleanup->daemon->log, m->id, r->address, r->original, delay,
		    why->status.text, str_c(m->mem, why->text));
	return true;
}

/* The report of a message that is too large must not be too large itself. */
static int64_t
return_what(const struct message *m, const struct queue_file *f)
{
	return (m->status & CLEANUP_SIZE) != 0 ? DSN_RET_HDRS : f->dsn_ret;
}

static bool
report(struct message *m, struct ipc *ipc, struct err *err)
{
	const struct reason why = reason_of(m);
	struct queue_file f;
	int64_t offset;

	if (!queue_file_open(m->mem, m->fd, &f, err))
		return false;
	for (offset = f.first_rcpt; offset != 0;) {
		struct queue_recipient *list;
		size_t n;

		if (!queue_file_recipients(m->mem, &f, false, BATCH, &offset, &list, &n,
					   err))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (!append(m, ipc, &list[i], &why, err))
				return false;
		}
	}
	return ask(ipc, m->mem, &ipc_bounce_flush,
		   &(struct msg_bounce_flush){.queue_name = STR("incoming"),
					      .queue_id = m->id,
					      .message = m->fd,
					      .encoding = f.encoding,
					      .sender = f.sender,
					      .envelope_id = f.envelope_id,
					      .dsn_return = return_what(m, &f),
					      .content_offset = f.content_offset,
					      .arrival_us = f.arrival_us},
		   err);
}

/* The file of a message that was too large ends in the middle: close it properly. */
static bool
complete_file(struct message *m, struct err *err)
{
	m->writer.max_bytes = 0;
	m->writer.too_large = false;
	if (m->segment == SEGMENT_CONTENT)
		content_end(m);
	return message_end_file(m, err);
}

bool
bounce_expanded(struct message *m, struct str address, struct err *err)
{
	const struct msg_bounce_append entry = {
		.queue_id = m->id,
		.recipient = address,
		.orig_recipient = m->original,
		.dsn_orcpt = m->dsn_orcpt,
		.dsn_notify = m->dsn_notify,
		.dsn = STR("2.0.0"),
		.action = STR("expanded"),
		.reason = STR("alias expanded"),
		.mta_type = STR_EMPTY,
		.mta_name = STR_EMPTY,
		.diag_type = STR_EMPTY,
		.diag_text = STR_EMPTY,
	};
	struct stream *s;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(m->cleanup->daemon, "private/trace", CONNECT_MS, &s, err))
		return false;
	stream_set_timeout_ms(s, m->cleanup->common.ipc_timeout * 1000);
	ipc_init(&ipc, s);
	ok = ask(&ipc, m->mem, &ipc_bounce_append, &entry, err);
	stream_close(&s);
	return ok;
}

void
bounce_message(struct message *m)
{
	struct stream *s = NULL;
	struct ipc ipc;
	struct err err;

	if (complete_file(m, &err) &&
	    daemon_connect(m->cleanup->daemon, "private/bounce", CONNECT_MS, &s, &err)) {
		stream_set_timeout_ms(s, m->cleanup->common.ipc_timeout * 1000);
		ipc_init(&ipc, s);
		if (report(m, &ipc, &err)) {
			m->status = CLEANUP_OK;
			stream_close(&s);
			return;
		}
	}
	stream_close(&s);
	log_warning(m->cleanup->daemon->log, PRI_STR ": cannot return this message: %s",
		    STR_ARG(m->id), err.text);
	m->status = CLEANUP_DEFER;
}
