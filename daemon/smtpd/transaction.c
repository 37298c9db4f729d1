/* SPDX-License-Identifier: Apache-2.0 */
#include "transaction.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/messages.h"
#include "mail/date.h"
#include "mail/dsn.h"
#include "mail/dsn_request.h"
#include "queue/cleanup_status.h"
#include "queue/receive.h"
#include "queue/record.h"

#include "log.h"
#include "milter.h"
#include "proxy.h"
#include "received.h"
#include "session.h"
#include "tls.h"

enum { CONNECT_MS = 10000, SPACE_MAX = RECORD_DATA_MAX + 65536, US_PER_S = 1000000 };

struct transaction *
transaction_begin(struct session *s, const struct smtp_mail_command *mail)
{
	struct arena *mem = arena_new();
	struct transaction *tx = ARENA_NEW(mem, struct transaction);

	tx->mem = mem;
	tx->mail = *mail;
	tx->mail.address = str_dup(mem, mail->address);
	tx->mail.envid = str_dup(mem, mail->envid);
	tx->mail.verp = str_dup(mem, mail->verp);
	tx->mail.auth = str_printable(mem, mail->auth, s->smtpd->common.smtputf8_enable);
	tx->mail_line = str_dup(mem, s->line);
	tx->arrival_us = sys_now_us();
	tx->recipient = tx->id = STR_EMPTY;
	tx->record = buf_new(mem, SPACE_MAX);
	tx->session = s;
	s->tx = tx;
	return tx;
}

void
transaction_end(struct transaction **tx)
{
	struct transaction *t = *tx;

	*tx = NULL;
	if (t == NULL)
		return;
	proxy_end(&t->proxy);
	if (t->cleanup != NULL) {
		/* Half a message must not look like a whole one. */
		stream_discard_output(t->cleanup);
		stream_close(&t->cleanup);
	}
	arena_free(&t->mem);
}

/* ---- records ---- */

static void
send_record(struct transaction *tx, char letter, struct str data)
{
	if (tx->proxy != NULL &&
	    (letter == RECORD_LETTER(LINE) || letter == RECORD_LETTER(PART)))
		proxy_text(tx->session, data, letter == RECORD_LETTER(LINE));
	if (tx->failed || tx->cleanup == NULL)
		return;
	buf_clear(tx->record);
	record_encode(tx->record, letter, data);
	if (stream_write(tx->cleanup, buf_str(tx->record)) != STREAM_OK)
		tx->failed = true;
}

static void
send_attribute(struct transaction *tx, const char *name, struct str value)
{
	struct str text = str_printf(tx->mem, "%s=" PRI_STR, name, STR_ARG(value));

	send_record(tx, RECORD_LETTER(ATTRIBUTE), text);
}

static void
send_known(struct transaction *tx, const char *name, struct str value)
{
	if (value.len > 0)
		send_attribute(tx, name, value);
}

static void
send_number(struct transaction *tx, const char *name, int64_t value)
{
	send_attribute(tx, name, str_printf(tx->mem, "%" PRId64, value));
}

/* "name[address]" of the origin that XFORWARD has told. */
static struct str
forward_origin(struct arena *mem, const struct forward *f)
{
	struct str name = f->name.len > 0 ? f->name : STR("unknown");

	if (f->address.len == 0 || str_eq(f->address, STR("unknown")))
		return name;
	return str_printf(mem, PRI_STR "[" PRI_STR "]", STR_ARG(name),
			  STR_ARG(f->address));
}

/* What delivery agents log and pass on: the client, or whom the client speaks for. */
static void
send_origin(struct session *s, struct transaction *tx)
{
	const struct forward *f = &s->forward;
	const struct peer *p = &s->peer;
	struct str unknown = STR("unknown");

	if (f->said) {
		send_attribute(tx, "log_client_name",
			       f->name.len > 0 ? f->name : unknown);
		send_attribute(tx, "log_client_address",
			       f->address.len > 0 ? f->address : unknown);
		send_attribute(tx, "log_client_port",
			       f->port.len > 0 ? f->port : unknown);
		send_attribute(tx, "log_message_origin", forward_origin(tx->mem, f));
		send_known(tx, "log_helo_name", f->helo);
		send_attribute(tx, "log_protocol_name",
			       f->proto.len > 0 ? f->proto : unknown);
		return;
	}
	send_attribute(tx, "log_client_name", p->name);
	send_attribute(tx, "log_client_address", p->address);
	send_attribute(tx, "log_client_port", p->port);
	send_attribute(tx, "log_message_origin", p->text);
	send_known(tx, "log_helo_name", s->helo);
	send_attribute(tx, "log_protocol_name", s->is_esmtp ? STR("ESMTP") : STR("SMTP"));
}

static void
send_client(struct session *s, struct transaction *tx)
{
	const struct peer *p = &s->peer;

	send_attribute(tx, "client_name", p->name);
	send_attribute(tx, "reverse_client_name", p->reverse_name);
	send_attribute(tx, "client_address", p->address);
	send_attribute(tx, "client_port", p->port);
	send_attribute(tx, "server_address", p->server_address);
	send_attribute(tx, "server_port", p->server_port);
	send_known(tx, "helo_name", s->helo);
	send_attribute(tx, "protocol_name", s->is_esmtp ? STR("ESMTP") : STR("SMTP"));
	send_number(tx, "client_address_type", p->family);
}

static struct str
body_name(enum smtp_body body)
{
	switch (body) {
	case SMTP_BODY_NONE:
		break;
	case SMTP_BODY_7BIT:
		return STR("7bit");
	case SMTP_BODY_8BITMIME:
		return STR("8bit");
	}
	return STR_EMPTY;
}

static void
send_envelope(struct session *s, struct transaction *tx)
{
	const struct forward *f = &s->forward;
	struct str ident =
		f->ident.len > 0 && !str_eq(f->ident, STR("unknown")) ? f->ident : tx->id;

	send_record(tx, RECORD_LETTER(TIME),
		    str_printf(tx->mem, "%" PRId64 " %" PRId64, tx->arrival_us / US_PER_S,
			       tx->arrival_us % US_PER_S));
	if (s->smtpd->receive.content_filter.len > 0)
		send_record(tx, RECORD_LETTER(FILTER), s->smtpd->receive.content_filter);
	send_attribute(tx, "log_ident", ident);
	send_attribute(tx, "rewrite_context",
		       tx->local_rewrite ? STR("local") : STR("remote"));
	send_known(tx, "sasl_method", s->sasl_method);
	send_known(tx, "sasl_username", s->sasl_username);
	send_known(tx, "sasl_sender", tx->mail.auth);
	send_known(tx, "envelope_id", tx->mail.envid);
	if (tx->mail.ret != DSN_RET_NONE)
		send_number(tx, "ret_flags", tx->mail.ret);
	send_record(tx, RECORD_LETTER(SENDER), tx->mail.address);
	if (tx->mail.verp.len > 0)
		send_record(tx, RECORD_LETTER(VERP), tx->mail.verp);
	send_known(tx, "encoding", body_name(tx->mail.body));
	send_origin(s, tx);
	send_client(s, tx);
}

/* ---- the envelope ---- */

static bool
ask_cleanup(struct session *s, struct transaction *tx, struct err *err)
{
	unsigned flags = CLEANUP_FLAG_FILTER | CLEANUP_FLAG_BCC_OK | CLEANUP_FLAG_MAP_OK |
			 CLEANUP_FLAG_SMTP_REPLY |
			 (s->milters != NULL ? CLEANUP_FLAG_MILTER : 0) |
			 (tx->mail.smtputf8 ? CLEANUP_FLAG_SMTPUTF8 : 0);
	const struct msg_cleanup_start start = {
		.flags = receive_override_flags(s->smtpd->overrides, flags)};
	struct msg_cleanup_hello hello;

	if (!daemon_connect(s->smtpd->daemon, "public/cleanup", CONNECT_MS, &tx->cleanup,
			    err))
		return false;
	stream_set_timeout_ms(tx->cleanup, s->smtpd->common.ipc_timeout * 1000);
	ipc_init(&tx->ipc, tx->cleanup);
	if (ipc_receive(&tx->ipc, tx->mem, &ipc_cleanup_hello, &hello, err) != IPC_DONE)
		return err_prefix(err, "cleanup");
	tx->id = hello.queue_id;
	return ipc_send(&tx->ipc, &ipc_cleanup_start, &start, err);
}

static bool
open_cleanup(struct session *s, struct str *reply_out)
{
	struct transaction *tx = s->tx;
	struct err err;

	if (ask_cleanup(s, tx, &err))
		return true;
	log_cleanup(s->smtpd->daemon->log, tx->id, err.text);
	stream_close(&tx->cleanup);
	tx->id = STR_EMPTY;
	*reply_out = STR("451 4.3.0 Error: queue file write error");
	return false;
}

bool
transaction_open(struct session *s, struct str *reply_out)
{
	struct log *log = s->smtpd->daemon->log;
	struct transaction *tx = s->tx;
	const struct forward *f = &s->forward;

	if (tx->cleanup != NULL || tx->proxy != NULL)
		return true;
	if (s->smtpd->has_filter ? !proxy_open(s, reply_out)
				 : !open_cleanup(s, reply_out))
		return false;
	log_client(log, tx->id.len > 0 ? tx->id : STR("NOQUEUE"), s->peer.text,
		   s->sasl_method, s->sasl_username, tx->mail.auth,
		   str_eq(f->ident, STR("unknown")) ? STR_EMPTY : f->ident,
		   f->said ? forward_origin(tx->mem, f) : STR_EMPTY);
	send_envelope(s, tx);
	return true;
}

void
transaction_recipient(struct session *s, const struct smtp_rcpt_command *rcpt)
{
	struct transaction *tx = s->tx;

	if (rcpt->notify != 0)
		send_number(tx, "notify_flags", rcpt->notify);
	send_attribute(tx, "dsn_orig_rcpt",
		       rcpt->orcpt.len > 0
			       ? rcpt->orcpt
			       : str_concat(tx->mem, STR("rfc822;"), rcpt->text));
	send_record(tx, RECORD_LETTER(RECIPIENT), rcpt->address);
	if (tx->n_recipients++ == 0)
		tx->recipient = str_dup(tx->mem, rcpt->address);
}

/* ---- content ---- */

static void
send_received(struct session *s, struct transaction *tx)
{
	const struct tls_service *t = s->smtpd->tls;
	const struct received received = {
		.helo = s->helo,
		.name = s->peer.name,
		.address = s->peer.address,
		.myhostname = s->smtpd->common.myhostname,
		.mail_name = s->smtpd->common.mail_name,
		.protocol = s->is_esmtp ? STR("ESMTP") : STR("SMTP"),
		.smtputf8 = tx->mail.smtputf8,
		.authenticated = s->sasl_username.len > 0,
		.is_tls = s->is_tls,
		.tls = s->is_tls && t->config.smtpd_tls_received_header ? s->tls : NULL,
		.asks_ccert = t->server.ask_ccert,
		.login = s->smtpd->sasl_config.smtpd_sasl_authenticated_header
				 ? s->sasl_username
				 : STR_EMPTY,
		.hide_client = s->smtpd->config.smtpd_hide_client_session,
		.id = tx->id,
		.recipient = tx->n_recipients == 1 ? tx->recipient : STR_EMPTY,
		.date = date_format(tx->mem, (time_t)(tx->arrival_us / US_PER_S)),
	};
	struct str lines[RECEIVED_LINES];
	size_t n;

	n = received_format(tx->mem, &received, lines);
	for (size_t i = 0; i < n; i++)
		send_record(tx, RECORD_LETTER(LINE), lines[i]);
}

/* Who else wants to see the content, and perhaps to change it. */
static void
send_milters(struct session *s, struct transaction *tx)
{
	struct err err;

	send_record(tx, RECORD_LETTER(MILTERS),
		    str_printf(tx->mem, "%zu", milters_count(s->milters)));
	if (!tx->failed && !milter_hand_over(s, &err)) {
		log_cleanup(s->smtpd->daemon->log, tx->id, err.text);
		tx->failed = true;
	}
}

void
transaction_begin_content(struct session *s)
{
	const struct access_effects *effects = access_effects(s->access);
	struct transaction *tx = s->tx;

	tx->begun = true;
	if (milter_has_content(s))
		send_milters(s, tx);
	send_record(tx, RECORD_LETTER(MESSAGE), STR_EMPTY);
	for (size_t i = 0; i < effects->n_prepend; i++) {
		struct str rest = effects->prepend[i];
		struct str line;

		while (str_line(&rest, &line))
			send_record(tx, RECORD_LETTER(LINE), line);
	}
	/* A filter between two filters leaves no trace. */
	if (tx->proxy == NULL || !s->forward.said)
		send_received(s, tx);
}

/* Lines at the beginning that are no header fields: the envelope lines of a mailbox file.
 * And a first line that begins with a blank would continue our Received: field. */
static bool
first_line(struct transaction *tx, struct str text, bool ends)
{
	struct str name = text;

	while (name.len > 0 && name.p[0] == '>')
		name = str_skip(name, 1);
	if (str_starts(name, STR("From "))) {
		struct buf line;

		buf_init(&line, SPACE_MAX);
		buf_add_c(&line, "X-Mailbox-Line: ");
		buf_add(&line, text);
		send_record(tx, ends ? RECORD_LETTER(LINE) : RECORD_LETTER(PART),
			    buf_str(&line));
		buf_release(&line);
		/* The rest of a long one is no new line. */
		tx->seen_line = !ends;
		return true;
	}
	if (text.len > 0 && char_is_blank(text.p[0]))
		send_record(tx, RECORD_LETTER(LINE), STR_EMPTY);
	tx->seen_line = true;
	return false;
}

void
transaction_text(struct session *s, struct str text, bool ends)
{
	struct transaction *tx = s->tx;
	int64_t limit = s->smtpd->common.message_size_limit;
	int64_t more = (int64_t)text.len + (ends ? 2 : 0);

	if (tx->too_large || tx->failed)
		return;
	if (limit > 0 && more > limit - tx->size) {
		tx->too_large = true;
		log_size(s->smtpd->daemon->log, tx->id);
		return;
	}
	tx->size += more;
	if (!tx->seen_line && first_line(tx, text, ends))
		return;
	send_record(tx, ends ? RECORD_LETTER(LINE) : RECORD_LETTER(PART), text);
}

/* ---- the end ---- */

/* What access tables have asked for. */
static void
send_effects(struct session *s, struct transaction *tx)
{
	const struct access_effects *effects = access_effects(s->access);
	unsigned flags = s->milter_flags | (effects->hold ? CLEANUP_FLAG_HOLD : 0u) |
			 (effects->discard ? CLEANUP_FLAG_DISCARD : 0u);

	if (flags != 0)
		send_record(tx, RECORD_LETTER(FLAGS), str_printf(tx->mem, "%u", flags));
	if (effects->filter.len > 0)
		send_record(tx, RECORD_LETTER(FILTER), effects->filter);
	if (effects->redirect.len > 0)
		send_record(tx, RECORD_LETTER(REDIRECT), effects->redirect);
	/* The sender has not asked for these and never hears of them. */
	for (size_t i = 0; i < effects->n_bcc; i++) {
		send_number(tx, "notify_flags", DSN_NOTIFY_NEVER);
		send_record(tx, RECORD_LETTER(RECIPIENT), effects->bcc[i]);
	}
}

static int
reply_code(unsigned status, const char *dsn)
{
	if ((status & (CLEANUP_BAD | CLEANUP_WRITE)) != 0 || dsn[0] == '4')
		return 451;
	if ((status & CLEANUP_SIZE) != 0)
		return 552;
	return (status & CLEANUP_HOPS) != 0 ? 554 : 550;
}

/* "554 5.7.1 text", "554-..." */
static bool
is_whole_reply(struct str text)
{
	return text.len > 3 && (text.p[0] == '4' || text.p[0] == '5') &&
	       char_is_digit(text.p[1]) && char_is_digit(text.p[2]) &&
	       (text.p[3] == ' ' || text.p[3] == '-');
}

static struct str
refusal(struct session *s, unsigned status, struct str reason)
{
	const struct cleanup_text *text = cleanup_text_find(status);
	int code = reply_code(status, text->dsn);

	/* A milter has said all of it. */
	if ((status & (CLEANUP_CONT | CLEANUP_DEFER)) != 0 && is_whole_reply(reason))
		return str_dup(s->now, reason);
	/* A content rule has words and a status code of its own. */
	if ((text->status == CLEANUP_CONT || text->status == CLEANUP_DEFER) &&
	    dsn_status_length(reason) > 0)
		return str_printf(s->now, "%d " PRI_STR, code, STR_ARG(reason));
	if ((status & CLEANUP_BAD) != 0)
		return str_printf(s->now, "451 4.3.0 Error: internal error %u", status);
	return str_printf(s->now, "%d %s Error: %s", code, text->dsn, text->text);
}

static bool
hear_verdict(struct session *s, struct transaction *tx, struct msg_cleanup_done *done)
{
	struct err err;

	if (tx->failed)
		return err_set(&err, ERR_TEMP, "cleanup");
	if (ipc_receive(&tx->ipc, tx->mem, &ipc_cleanup_done, done, &err) == IPC_DONE)
		return true;
	log_cleanup(s->smtpd->daemon->log, tx->id, err.text);
	return false;
}

bool
transaction_commit(struct session *s, const char *ok_text, struct str *reply_out)
{
	struct transaction *tx = s->tx;
	struct msg_cleanup_done done;

	if (tx->too_large) {
		*reply_out = refusal(s, CLEANUP_SIZE, STR_EMPTY);
		return false;
	}
	if (tx->proxy != NULL)
		return proxy_commit(s, reply_out);
	send_record(tx, RECORD_LETTER(EXTRACTED), STR_EMPTY);
	send_effects(s, tx);
	send_record(tx, RECORD_LETTER(END), STR_EMPTY);
	if (!hear_verdict(s, tx, &done)) {
		*reply_out = refusal(s, CLEANUP_WRITE, STR_EMPTY);
		return false;
	}
	if (done.status != CLEANUP_OK) {
		*reply_out = refusal(s, (unsigned)done.status, done.reason);
		return false;
	}
	*reply_out = str_printf(s->now, "250 2.0.0 Ok: %squeued as " PRI_STR, ok_text,
				STR_ARG(tx->id));
	return true;
}
