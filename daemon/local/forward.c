/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail that goes on to other recipients is a new message: each of them then has a record
 * of its own in the queue.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/sys.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/address.h"
#include "mail/date.h"
#include "queue/cleanup_status.h"
#include "queue/file.h"
#include "queue/record.h"

#include "local.h"

enum { CONNECT_MS = 10000 };

static bool
record(struct stream *s, char letter, struct str data)
{
	struct buf b;
	bool ok;

	buf_init(&b, RECORD_DATA_MAX + RECORD_HEAD_MAX);
	record_encode(&b, letter, data);
	ok = stream_write(s, buf_str(&b)) == STREAM_OK;
	buf_release(&b);
	return ok;
}

static bool
greet(struct arena *mem, struct stream *s, struct str *id, struct err *err)
{
	const struct msg_cleanup_start start = {.flags = CLEANUP_FLAG_MAP_OK |
							 CLEANUP_FLAG_BCC_OK};
	struct msg_cleanup_hello hello;
	struct ipc ipc;

	ipc_init(&ipc, s);
	if (ipc_receive(&ipc, mem, &ipc_cleanup_hello, &hello, err) != IPC_DONE)
		return err_set(err, ERR_TEMP, "no answer from cleanup");
	*id = hello.queue_id;
	return ipc_send(&ipc, &ipc_cleanup_start, &start, err);
}

static bool
send_content(struct arena *mem, struct stream *s, struct agent_request *r)
{
	struct queue_content content;
	struct str text;
	struct err err;

	queue_content_init(mem, &content, r->msg.message, r->msg.content_offset);
	for (;;) {
		switch (queue_content_next(&content, &text, &err)) {
		case QUEUE_CONTENT_LINE:
			if (!record(s, RECORD_LETTER(LINE), text))
				return false;
			break;
		case QUEUE_CONTENT_PART:
			if (!record(s, RECORD_LETTER(PART), text))
				return false;
			break;
		case QUEUE_CONTENT_END:
			return true;
		case QUEUE_CONTENT_FAILED:
			return false;
		}
	}
}

static bool
attribute(struct arena *mem, struct stream *s, const char *name, struct str value)
{
	return value.len == 0 ||
	       record(s, RECORD_LETTER(ATTRIBUTE),
		      str_printf(mem, "%s=" PRI_STR, name, STR_ARG(value)));
}

static bool
number(struct arena *mem, struct stream *s, const char *name, int64_t n)
{
	return n == 0 || record(s, RECORD_LETTER(ATTRIBUTE),
				str_printf(mem, "%s=%lld", name, (long long)n));
}

/* The client is still the one who brought the first message. */
static bool
send_attributes(struct agent_request *r, struct stream *s, bool is_list)
{
	const struct msg_deliver_request *m = &r->msg;
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"log_client_name", m->client_name},
		{"log_client_address", m->client_address},
		{"log_client_port", m->client_port},
		{"log_protocol_name", m->client_proto},
		{"log_helo_name", m->client_helo},
		{"sasl_method", m->sasl_method},
		{"sasl_username", m->sasl_username},
		{"sasl_sender", m->sasl_sender},
		{"log_ident", m->log_ident.len > 0 ? m->log_ident : m->queue_id},
		{"rewrite_context",
		 m->rewrite_context.len > 0 ? m->rewrite_context : STR("local")},
		{"encoding", m->encoding},
		{"envelope_id", is_list ? STR_EMPTY : m->envelope_id},
	};
	bool ok = number(r->mem, s, "ret_flags", is_list ? 0 : m->dsn_return);

	for (size_t i = 0; ok && i < ARRAY_LEN(rows); i++)
		ok = attribute(r->mem, s, rows[i].name, rows[i].value);
	return ok;
}

static bool
send_recipients(struct arena *mem, struct stream *s,
		const struct msg_deliver_recipient *m, const struct forward_mail *mail)
{
	struct str original = m->orig_address.len > 0 ? m->orig_address : m->address;
	bool ok = true;

	for (size_t i = 0; ok && i < mail->n; i++) {
		if (!mail->is_list)
			ok = number(mem, s, "notify_flags", m->dsn_notify) &&
			     attribute(mem, s, "dsn_orig_rcpt", m->dsn_orcpt);
		ok = ok && record(s, RECORD_LETTER(ORIGINAL), original) &&
		     record(s, RECORD_LETTER(RECIPIENT), mail->recipients[i]);
	}
	return ok;
}

static bool
send_message(struct local *l, struct agent_request *r, struct stream *s, struct str id,
	     const struct agent_recipient *rcpt, const struct forward_mail *mail)
{
	struct arena *mem = r->mem;
	struct str received =
		str_printf(mem, "Received: by " PRI_STR " (" PRI_STR ")",
			   STR_ARG(l->common.myhostname), STR_ARG(l->common.mail_name));
	bool ok = send_attributes(r, s, mail->is_list) &&
		  record(s, RECORD_LETTER(SENDER), mail->sender) &&
		  send_recipients(mem, s, &rcpt->msg, mail) &&
		  record(s, RECORD_LETTER(MESSAGE), STR_EMPTY) &&
		  record(s, RECORD_LETTER(LINE), received) &&
		  record(s, RECORD_LETTER(LINE),
			 str_printf(mem, "\tid " PRI_STR "; " PRI_STR, STR_ARG(id),
				    STR_ARG(date_format(mem, sys_now_us() / 1000000))));

	if (ok && mail->delivered.len > 0)
		ok = record(
			s, RECORD_LETTER(LINE),
			str_printf(mem, "Delivered-To: " PRI_STR,
				   STR_ARG(address_quote_header(mem, mail->delivered))));
	return ok && send_content(mem, s, r) &&
	       record(s, RECORD_LETTER(EXTRACTED), STR_EMPTY) &&
	       record(s, RECORD_LETTER(END), STR_EMPTY);
}

bool
forward(struct local *l, struct agent_request *r, const struct agent_recipient *rcpt,
	const struct forward_mail *mail, struct str *queue_id_out, struct err *err)
{
	struct msg_cleanup_done done = {0};
	struct stream *s;
	struct str id;
	bool ok;

	if (!daemon_connect(r->daemon, "public/cleanup", CONNECT_MS, &s, err))
		return false;
	stream_set_timeout_ms(s, l->common.ipc_timeout * 1000);
	ok = greet(r->mem, s, &id, err);
	if (ok) {
		/* Both sides have said which version they speak. */
		struct ipc ipc = {.stream = s, .greeted = true, .met = true};

		/* Not whole: cleanup drops what it got. */
		ok = (send_message(l, r, s, id, rcpt, mail) ||
		      err_set(err, ERR_TEMP, "cannot hand the message on")) &&
		     ipc_receive(&ipc, r->mem, &ipc_cleanup_done, &done, err) == IPC_DONE;
		if (ok && done.status != CLEANUP_OK)
			ok = err_set(err, ERR_TEMP, "cleanup: " PRI_STR,
				     STR_ARG(done.reason));
	}
	stream_close(&s);
	if (ok)
		*queue_id_out = id;
	return ok;
}
