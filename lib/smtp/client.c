/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a mail is sent: commands go out in batches of about BATCH_BYTES (one command
 * without PIPELINING), and all replies of a batch are read before the next one. So
 * neither side can fill the other's buffers and wait for ever (RFC 2920 section 3.1), and
 * the code reads as if there were no pipelining. DATA ends the last batch; a server that
 * says 354 although it accepted nobody gets an empty mail end and forgets it.
 */
#include "smtp/client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/panic.h"

#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "mail/address.h"
#include "mail/dsn_request.h"
#include "mail/xtext.h"

#include "smtp/client_internal.h"
#include "smtp/extension.h"
#include "smtp/reply.h"
#include "smtp/xforward.h"

enum { BATCH_BYTES = 4000, BATCH_MAX = 256, COMMAND_MAX = 1 << 20 };

void
smtp_client_init(struct smtp_client *c, struct arena *mem, struct stream *stream,
		 const struct smtp_client_options *options, struct str name,
		 struct str nexthop)
{
	*c = (struct smtp_client){.stream = stream, .mem = mem, .options = *options};
	c->name = str_dup(mem, name);
	c->nexthop = str_dup(mem, nexthop);
}

bool
smtp_client_is_usable(const struct smtp_client *c)
{
	return !c->broken;
}

/* ---- what can go wrong ---- */

enum smtp_session_result
client_lost(struct smtp_client *c, enum stream_status status, const char *step,
	    struct dsn *dsn)
{
	c->broken = true;
	if (status == STREAM_TIMEOUT)
		*dsn = dsn_printf(c->mem, "4.4.2",
				  "conversation with " PRI_STR " timed out while %s",
				  STR_ARG(c->name), step);
	else
		*dsn = dsn_printf(c->mem, "4.4.2",
				  "lost connection with " PRI_STR " while %s",
				  STR_ARG(c->name), step);
	return SMTP_SESSION_FAILED;
}

/* A reply that is none: who speaks another protocol may never get better at this
 * address, but the fault is not the mail's, so it is soft. */
static enum smtp_session_result
garbled(struct smtp_client *c, struct str text, const char *step, struct dsn *dsn)
{
	c->broken = true;
	*dsn = dsn_printf(c->mem, "4.5.0",
			  "malformed reply from " PRI_STR " while %s: " PRI_STR,
			  STR_ARG(c->name), step,
			  STR_ARG(str_printable(c->mem, str_head(text, 100), true)));
	return SMTP_SESSION_FAILED;
}

/* What a server said, as a result. */
struct dsn
client_said(struct smtp_client *c, const struct smtp_reply *r, const char *in_reply_to)
{
	struct str line = smtp_reply_one_line(c->mem, r);
	struct dsn d = dsn_printf(c->mem, r->status.text,
				  "host " PRI_STR " said: " PRI_STR " (in reply to %s)",
				  STR_ARG(c->name), STR_ARG(line), in_reply_to);
	size_t bracket = str_index(c->name, '[');

	d.diag_type = STR("smtp");
	d.diag_text = line;
	d.mta_type = STR("dns");
	d.mta_name = str_head(c->name, bracket);
	return d;
}

struct dsn
client_refused(struct smtp_client *c, const struct smtp_reply *r)
{
	struct dsn d = client_said(c, r, "");
	struct str line = smtp_reply_one_line(c->mem, r);

	d.reason = str_printf(c->mem, "host " PRI_STR " refused to talk to me: " PRI_STR,
			      STR_ARG(c->name), STR_ARG(line));
	return d;
}

/* ---- time ---- */

/* For what comes next: per operation, or all in all. */
void
client_limit_time(struct smtp_client *c, int64_t timeout_ms)
{
	struct loop *loop = stream_loop(c->stream);

	stream_set_timeout_ms(c->stream, timeout_ms);
	if (c->options.per_request_deadline && loop != NULL)
		stream_set_deadline_ms(c->stream, loop_deadline_ms(loop, timeout_ms));
}

/* What the content has earned by its bytes; never more than data_xfer_ms from now. */
struct content_clock {
	int64_t deadline_ms;
	int64_t bytes; /* not yet counted */
};

static void
content_clock_start(struct smtp_client *c, struct content_clock *k)
{
	struct loop *loop = stream_loop(c->stream);

	client_limit_time(c, c->options.timeouts.data_xfer_ms);
	*k = (struct content_clock){0};
	if (loop != NULL)
		k->deadline_ms = loop_deadline_ms(loop, c->options.timeouts.data_xfer_ms);
}

static void
content_clock_earn(struct smtp_client *c, struct content_clock *k, size_t bytes)
{
	struct loop *loop = stream_loop(c->stream);
	int64_t rate = MAX_OF(c->options.min_data_rate, 1);
	int64_t most;

	k->bytes += (int64_t)bytes;
	if (!c->options.per_request_deadline || loop == NULL ||
	    k->bytes < STREAM_OUT_BYTES)
		return;
	most = loop_deadline_ms(loop, c->options.timeouts.data_xfer_ms);
	k->deadline_ms = MIN_OF(k->deadline_ms + k->bytes * 1000 / rate, most);
	k->bytes = 0;
	stream_set_deadline_ms(c->stream, k->deadline_ms);
}

/* ---- one reply ---- */

enum smtp_session_result
client_read_reply(struct smtp_client *c, int64_t timeout_ms, const char *step,
		  struct smtp_reply *r, struct dsn *dsn)
{
	enum stream_status status = STREAM_OK;

	client_limit_time(c, timeout_ms);
	switch (smtp_reply_read(c->stream, c->mem, c->options.reply_filter, r, &status)) {
	case REPLY_READ:
		break;
	case REPLY_FILTER_FAILED:
		*dsn = dsn_printf(c->mem, "4.3.0",
				  "local data error while talking to " PRI_STR,
				  STR_ARG(c->name));
		return SMTP_SESSION_FAILED;
	case REPLY_BAD:
		return garbled(c, r->text, step, dsn);
	case REPLY_LOST:
		return client_lost(c, status, step, dsn);
	}
	if (r->code == 421)
		c->broken = true; /* it is about to hang up */
	return SMTP_SESSION_OK;
}

enum smtp_session_result
client_send_command(struct smtp_client *c, int64_t timeout_ms, const char *step,
		    struct str command, struct dsn *dsn)
{
	enum stream_status status;

	client_limit_time(c, timeout_ms);
	status = stream_write(c->stream, command);
	if (status == STREAM_OK)
		status = stream_flush(c->stream);
	return status == STREAM_OK ? SMTP_SESSION_OK : client_lost(c, status, step, dsn);
}

/* ---- envelope ---- */

static bool
has(const struct smtp_client *c, enum smtp_feature f)
{
	return (c->features & f) != 0;
}

static struct str
envelope_address(const struct smtp_client *c, struct str address)
{
	return c->options.raw_envelope ? address : address_quote_smtp(c->mem, address);
}

bool
smtp_client_must_convert(const struct smtp_client *c, const struct smtp_mail *mail)
{
	return mail->may_convert && !mail->is_7bit && !has(c, SMTP_FEATURE_8BITMIME);
}

static void
add_mail_command(const struct smtp_client *c, struct buf *out,
		 const struct smtp_mail *mail)
{
	buf_printf(out, "MAIL FROM:<" PRI_STR ">",
		   STR_ARG(envelope_address(c, mail->sender)));
	/* What is converted has another size. */
	if (has(c, SMTP_FEATURE_SIZE) && mail->size > 0 &&
	    !smtp_client_must_convert(c, mail))
		buf_printf(out, " SIZE=%" PRId64, mail->size);
	if (has(c, SMTP_FEATURE_8BITMIME) && (mail->is_8bit || mail->is_7bit))
		buf_add_c(out, mail->is_8bit ? " BODY=8BITMIME" : " BODY=7BIT");
	if (has(c, SMTP_FEATURE_SMTPUTF8) && mail->smtputf8)
		buf_add_c(out, " SMTPUTF8");
	if (has(c, SMTP_FEATURE_DSN) && mail->envelope_id.len > 0)
		buf_printf(out, " ENVID=" PRI_STR,
			   STR_ARG(xtext_encode(c->mem, mail->envelope_id)));
	if (has(c, SMTP_FEATURE_DSN) && mail->dsn_ret != DSN_RET_NONE)
		buf_printf(out, " RET=%s", dsn_ret_format((enum dsn_ret)mail->dsn_ret));
	buf_add_c(out, "\r\n");
}

static void
add_rcpt_command(const struct smtp_client *c, struct buf *out,
		 const struct smtp_rcpt *rcpt)
{
	buf_printf(out, "RCPT TO:<" PRI_STR ">",
		   STR_ARG(envelope_address(c, rcpt->address)));
	if (has(c, SMTP_FEATURE_DSN) && rcpt->orcpt.len > 0)
		buf_printf(out, " ORCPT=" PRI_STR,
			   STR_ARG(dsn_orcpt_format(c->mem, rcpt->orcpt)));
	if (has(c, SMTP_FEATURE_DSN) && rcpt->notify != 0)
		buf_printf(out, " NOTIFY=" PRI_STR,
			   STR_ARG(dsn_notify_format(c->mem, rcpt->notify)));
	buf_add_c(out, "\r\n");
}

static void
settle(struct smtp_rcpt *rcpt, enum smtp_rcpt_outcome outcome, const struct dsn *dsn)
{
	rcpt->outcome = outcome;
	rcpt->dsn = *dsn;
}

/* The verdict that a reply means for everybody who still waits (or, accepted only, for
 * those whom the server had accepted). */
static void
settle_all(struct smtp_mail *mail, bool accepted_only, const struct dsn *dsn)
{
	enum smtp_rcpt_outcome outcome = dsn->status.text[0] == '2'   ? SMTP_RCPT_SENT
					 : dsn->status.text[0] == '5' ? SMTP_RCPT_REJECTED
								      : SMTP_RCPT_PENDING;

	for (size_t i = 0; i < mail->n_rcpts; i++) {
		struct smtp_rcpt *rcpt = &mail->rcpts[i];

		if (rcpt->outcome == SMTP_RCPT_PENDING &&
		    (rcpt->accepted || !accepted_only))
			settle(rcpt, outcome, dsn);
	}
}

/* A broken session decides nothing: everybody waits, knowing why. Recipients that were
 * turned away for now keep the server's own words. */
static enum smtp_session_result
give_up(struct smtp_mail *mail, const struct dsn *dsn)
{
	for (size_t i = 0; i < mail->n_rcpts; i++) {
		struct smtp_rcpt *rcpt = &mail->rcpts[i];

		if (rcpt->outcome == SMTP_RCPT_PENDING &&
		    (rcpt->accepted || rcpt->dsn.status.text[0] == '\0'))
			rcpt->dsn = *dsn;
	}
	return SMTP_SESSION_FAILED;
}

/* Where a mail stands between two batches of commands. */
struct progress {
	struct smtp_client *c;
	struct smtp_mail *mail;
	int xforward_sent; /* commands, or that there is none */
	size_t next_rcpt;  /* to put into a batch */
	bool mail_sent;
	bool data_sent;
	bool mail_ok;
	bool data_ok;
	size_t n_accepted;
};

/* One command of a batch, so that its reply finds its way. */
struct pending_command {
	enum {
		PENDING_XFORWARD_CLIENT,
		PENDING_XFORWARD_SESSION,
		PENDING_MAIL,
		PENDING_RCPT,
		PENDING_DATA
	} kind;
	struct smtp_rcpt *rcpt;
};

static struct smtp_rcpt *
next_pending_rcpt(struct progress *p)
{
	while (p->next_rcpt < p->mail->n_rcpts) {
		struct smtp_rcpt *rcpt = &p->mail->rcpts[p->next_rcpt++];

		if (rcpt->outcome == SMTP_RCPT_PENDING)
			return rcpt;
	}
	return NULL;
}

/* The next command, appended to *out; false when there is none to send now. */
static bool
add_next_command(struct progress *p, struct buf *out, struct pending_command *pending)
{
	bool pipelining = has(p->c, SMTP_FEATURE_PIPELINING);
	struct smtp_rcpt *rcpt;

	*pending = (struct pending_command){0};
	while (p->mail->origin != NULL && p->xforward_sent < 2) {
		bool session = p->xforward_sent++ == 1;

		pending->kind =
			session ? PENDING_XFORWARD_SESSION : PENDING_XFORWARD_CLIENT;
		if (smtp_xforward_add(p->c->mem, out, p->c->xforward, p->mail->origin,
				      session))
			return true;
	}
	if (!p->mail_sent) {
		pending->kind = PENDING_MAIL;
		add_mail_command(p->c, out, p->mail);
		p->mail_sent = true;
		return true;
	}
	rcpt = next_pending_rcpt(p);
	if (rcpt != NULL) {
		pending->kind = PENDING_RCPT;
		pending->rcpt = rcpt;
		add_rcpt_command(p->c, out, rcpt);
		return true;
	}
	if ((p->mail->probe && !p->mail->probe_data) || p->data_sent ||
	    (!pipelining && p->n_accepted == 0))
		return false;
	pending->kind = PENDING_DATA;
	buf_add_c(out, "DATA\r\n");
	p->data_sent = true;
	return true;
}

static void
take_rcpt_reply(struct progress *p, struct smtp_rcpt *rcpt, const struct smtp_reply *r)
{
	struct dsn dsn;

	dsn = client_said(p->c, r, "RCPT TO command");
	if (r->code / 100 == 2) {
		rcpt->accepted = true;
		p->n_accepted++;
		if (p->mail->probe && !p->mail->probe_data) {
			dsn.reason = smtp_reply_one_line(p->c->mem, r);
			settle(rcpt, SMTP_RCPT_SENT, &dsn);
		}
		return;
	}
	rcpt->turned_away = true;
	settle(rcpt, r->code / 100 == 5 ? SMTP_RCPT_REJECTED : SMTP_RCPT_PENDING, &dsn);
}

/* A probe that came as far as that. */
static void
take_welcome(struct progress *p, const struct smtp_reply *r)
{
	struct dsn dsn = client_said(p->c, r, "DATA command");

	dsn.status = dsn_status_with_class(dsn.status, '2');
	dsn.reason = smtp_reply_one_line(p->c->mem, r);
	settle_all(p->mail, true, &dsn);
}

static void
note_refusal(struct progress *p, const struct smtp_reply *r, const char *command)
{
	struct smtp_mail *mail = p->mail;

	if (r->code / 100 != 2 && mail->n_warnings < SMTP_WARNINGS_MAX)
		mail->warnings[mail->n_warnings++] =
			str_printf(p->c->mem, "said: " PRI_STR " (in reply to %s)",
				   STR_ARG(smtp_reply_one_line(p->c->mem, r)), command);
}

static void
take_reply(struct progress *p, const struct pending_command *pending,
	   const struct smtp_reply *r)
{
	struct dsn dsn;

	switch (pending->kind) {
	case PENDING_XFORWARD_CLIENT:
		note_refusal(p, r, "XFORWARD name/address command");
		return;
	case PENDING_XFORWARD_SESSION:
		note_refusal(p, r, "XFORWARD helo/protocol command");
		return;
	case PENDING_MAIL:
		p->mail_ok = r->code / 100 == 2;
		if (p->mail_ok)
			return;
		dsn = client_said(p->c, r, "MAIL FROM command");
		settle_all(p->mail, false, &dsn);
		return;
	case PENDING_RCPT:
		if (p->mail_ok)
			take_rcpt_reply(p, pending->rcpt, r);
		return;
	case PENDING_DATA:
		p->data_ok = r->code / 100 == 3;
		if (p->data_ok && p->mail->probe)
			take_welcome(p, r);
		if (p->data_ok || !p->mail_ok)
			return;
		dsn = client_said(p->c, r, "DATA command");
		if (dsn.status.text[0] == '2') /* DATA is not over yet: nonsense */
			dsn.status = dsn_status_with_class(dsn.status, '4');
		settle_all(p->mail, true, &dsn);
		return;
	}
}

static const struct {
	const char *step;
	size_t timeout; /* offset in struct smtp_timeouts */
} command_steps[] = {
	[PENDING_XFORWARD_CLIENT] = {"sending XFORWARD name/address",
				     offsetof(struct smtp_timeouts, xforward_ms)},
	[PENDING_XFORWARD_SESSION] = {"sending XFORWARD protocol/helo_name",
				      offsetof(struct smtp_timeouts, xforward_ms)},
	[PENDING_MAIL] = {"sending MAIL FROM", offsetof(struct smtp_timeouts, mail_ms)},
	[PENDING_RCPT] = {"sending RCPT TO", offsetof(struct smtp_timeouts, rcpt_ms)},
	[PENDING_DATA] = {"sending DATA command",
			  offsetof(struct smtp_timeouts, data_init_ms)},
};

static int64_t
timeout_of(const struct smtp_client *c, const struct pending_command *pending)
{
	const char *base = (const char *)&c->options.timeouts;

	return *(const int64_t *)(const void *)(base +
						command_steps[pending->kind].timeout);
}

/* Send a batch and read its replies. *more_out: there was something to send. */
static enum smtp_session_result
run_batch(struct progress *p, struct arena *mem, bool *more_out, struct dsn *dsn)
{
	bool pipelining = has(p->c, SMTP_FEATURE_PIPELINING);
	struct pending_command *batch =
		arena_alloc_array(mem, BATCH_MAX, sizeof(struct pending_command));
	struct buf *out = buf_new(mem, COMMAND_MAX);
	size_t n = 0;

	while (n < (pipelining ? BATCH_MAX : 1) && out->len < BATCH_BYTES &&
	       add_next_command(p, out, &batch[n]))
		n++;
	*more_out = n > 0;
	if (n > 0 && client_send_command(p->c, timeout_of(p->c, &batch[0]),
					 command_steps[batch[0].kind].step, buf_str(out),
					 dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	for (size_t i = 0; i < n; i++) {
		struct smtp_reply r;

		if (client_read_reply(p->c, timeout_of(p->c, &batch[i]),
				      command_steps[batch[i].kind].step, &r,
				      dsn) != SMTP_SESSION_OK)
			return SMTP_SESSION_FAILED;
		take_reply(p, &batch[i], &r);
	}
	return SMTP_SESSION_OK;
}

/* MAIL, every RCPT, DATA: until the server waits for content, or does not want any. */
static enum smtp_session_result
send_envelope(struct progress *p, struct dsn *dsn)
{
	enum smtp_session_result result = SMTP_SESSION_OK;
	bool more = true;

	while (more && result == SMTP_SESSION_OK && !p->data_sent &&
	       (p->mail_ok || !p->mail_sent)) {
		struct arena *mem = arena_new();

		result = run_batch(p, mem, &more, dsn);
		arena_free(&mem);
	}
	return result;
}

/* ---- content ---- */

/* Where in a line of the content we are. */
struct line_state {
	size_t column;
	int64_t limit;
	bool broken; /* some line was too long */
	bool failed;
};

static enum stream_status
write_text(struct stream *s, struct line_state *l, struct str text)
{
	enum stream_status status = STREAM_OK;

	if (l->column == 0 && text.len > 0 && text.p[0] == '.')
		status = stream_write(s, STR("."));
	while (status == STREAM_OK && text.len > 0) {
		size_t room = l->limit > 0 ? (size_t)l->limit - l->column : text.len;
		struct str now = str_head(text, room);

		status = stream_write(s, now);
		text = str_skip(text, now.len);
		l->column += now.len;
		if (status == STREAM_OK && text.len > 0) {
			/* Too long for SMTP: broken where a header would be folded. */
			status = stream_write(s, STR("\r\n "));
			l->column = 1;
			l->broken = true;
		}
	}
	return status;
}

/* The firewall must not see the end of data in two packets, or with text before it. */
static enum stream_status
pause_before_dot(struct smtp_client *c)
{
	enum stream_status status = stream_flush(c->stream);
	struct loop *loop = stream_loop(c->stream);

	if (status == STREAM_OK && loop != NULL &&
	    !fiber_sleep(loop, c->options.pix_delay_ms))
		return STREAM_CANCELLED;
	client_limit_time(c, c->options.timeouts.data_xfer_ms);
	return status;
}

static enum stream_status
send_content(struct smtp_client *c, struct smtp_mail *mail, struct line_state *l)
{
	enum stream_status status = STREAM_OK;
	struct content_clock clock;

	content_clock_start(c, &clock);
	while (status == STREAM_OK) {
		struct str text = STR_EMPTY;
		enum smtp_content got = mail->next(mail->arg, &text);

		if (got == SMTP_CONTENT_FAILED) {
			l->failed = true;
			return STREAM_OK;
		}
		if (got == SMTP_CONTENT_END)
			break;
		content_clock_earn(c, &clock, text.len);
		status = write_text(c->stream, l, text);
		if (got == SMTP_CONTENT_LINE && status == STREAM_OK) {
			status = stream_write(c->stream, STR("\r\n"));
			l->column = 0;
		}
	}
	if (status == STREAM_OK && l->column > 0)
		status = stream_write(c->stream, STR("\r\n"));
	if (status == STREAM_OK && (c->pix & SMTP_PIX_DELAY_DOTCRLF) != 0)
		status = pause_before_dot(c);
	if (status == STREAM_OK)
		status = stream_write(c->stream, STR(".\r\n"));
	return status == STREAM_OK ? stream_flush(c->stream) : status;
}

/* The reply to the end of data; in LMTP one for each recipient that was accepted. */
static enum smtp_session_result
read_final_replies(struct smtp_client *c, struct smtp_mail *mail, struct dsn *dsn)
{
	static const char step[] =
		"sending end of data -- message may be sent more than once";

	for (size_t i = 0; i < mail->n_rcpts; i++) {
		struct smtp_rcpt *rcpt = &mail->rcpts[i];
		struct smtp_reply r;
		struct dsn result;

		if (rcpt->outcome != SMTP_RCPT_PENDING || !rcpt->accepted)
			continue;
		if (client_read_reply(c, c->options.timeouts.data_done_ms, step, &r,
				      dsn) != SMTP_SESSION_OK)
			return SMTP_SESSION_FAILED;
		result = client_said(c, &r, "end of DATA command");
		if (r.code / 100 == 2)
			result.reason = smtp_reply_one_line(c->mem, &r);
		result.action = c->options.lmtp ? DSN_DELIVERED : DSN_RELAYED;
		if (r.code / 100 == 3) /* not an answer to a finished mail */
			result.status = dsn_status_with_class(result.status, '4');
		if (!c->options.lmtp) {
			settle_all(mail, true, &result);
			return SMTP_SESSION_OK;
		}
		settle(rcpt,
		       result.status.text[0] == '2'   ? SMTP_RCPT_SENT
		       : result.status.text[0] == '5' ? SMTP_RCPT_REJECTED
						      : SMTP_RCPT_PENDING,
		       &result);
	}
	return SMTP_SESSION_OK;
}

static enum smtp_session_result
send_body(struct smtp_client *c, struct smtp_mail *mail, struct dsn *dsn)
{
	struct line_state l = {.limit = c->options.line_length_limit};
	enum stream_status status;

	mail->failure = (struct dsn){0};
	status = send_content(c, mail, &l);

	mail->line_broken = l.broken;
	if (l.failed) {
		/* Half a mail is out: only hanging up keeps the server from delivering
		 * it. */
		c->broken = true;
		stream_discard_output(c->stream);
		if (mail->failure.status.text[0] != '\0') {
			*dsn = mail->failure;
			settle_all(mail, true, dsn);
			return SMTP_SESSION_FAILED;
		}
		*dsn = dsn_printf(c->mem, "4.3.0",
				  "local data error while talking to " PRI_STR,
				  STR_ARG(c->name));
		return SMTP_SESSION_FAILED;
	}
	if (status != STREAM_OK)
		return client_lost(c, status, "sending message body", dsn);
	return read_final_replies(c, mail, dsn);
}

/* The server wants a content that nobody is to get. */
static enum smtp_session_result
send_nothing(struct smtp_client *c, struct dsn *dsn)
{
	struct smtp_reply r;

	if (client_send_command(c, c->options.timeouts.data_done_ms,
				"sending end of data", STR(".\r\n"),
				dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	return client_read_reply(c, c->options.timeouts.data_done_ms,
				 "sending end of data", &r, dsn);
}

static bool
is_too_large(const struct smtp_client *c, const struct smtp_mail *mail)
{
	return has(c, SMTP_FEATURE_SIZE) && c->size_limit > 0 &&
	       mail->size > c->size_limit;
}

static enum smtp_session_result
open_transaction(struct smtp_client *c, struct smtp_mail *mail, struct dsn *dsn)
{
	for (size_t i = 0; i < mail->n_rcpts; i++)
		mail->rcpts[i].accepted = mail->rcpts[i].turned_away = false;
	if (c->in_mail)
		return smtp_client_probe(c, dsn);
	return SMTP_SESSION_OK;
}

enum smtp_session_result
smtp_client_send(struct smtp_client *c, struct smtp_mail *mail, struct dsn *dsn_out)
{
	struct progress p = {.c = c, .mail = mail};
	enum smtp_session_result result;

	ensure(!c->broken);
	mail->n_warnings = 0;
	if (is_too_large(c, mail)) {
		struct dsn dsn =
			dsn_printf(c->mem, "5.3.4",
				   "message size %" PRId64 " exceeds size limit %" PRId64
				   " of server " PRI_STR,
				   mail->size, c->size_limit, STR_ARG(c->name));

		settle_all(mail, false, &dsn);
		return SMTP_SESSION_OK;
	}
	if (open_transaction(c, mail, dsn_out) != SMTP_SESSION_OK)
		return give_up(mail, dsn_out);
	c->in_mail = true;
	result = send_envelope(&p, dsn_out);
	if (result == SMTP_SESSION_OK && p.data_ok && mail->probe) {
		/* Only hanging up ends the mail without delivering one. */
		c->broken = true;
	} else if (result == SMTP_SESSION_OK && p.data_ok) {
		if (p.mail_ok && p.n_accepted > 0 && mail->rewind(mail->arg))
			result = send_body(c, mail, dsn_out);
		else
			result = send_nothing(c, dsn_out);
		c->in_mail = false;
	}
	return result == SMTP_SESSION_OK ? result : give_up(mail, dsn_out);
}

enum smtp_session_result
smtp_client_probe(struct smtp_client *c, struct dsn *dsn_out)
{
	struct smtp_reply r;

	if (client_send_command(c, c->options.timeouts.rset_ms, "sending final RSET",
				STR("RSET\r\n"), dsn_out) != SMTP_SESSION_OK ||
	    client_read_reply(c, c->options.timeouts.rset_ms, "sending final RSET", &r,
			      dsn_out) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	c->in_mail = false;
	if (r.code / 100 == 2)
		return SMTP_SESSION_OK;
	c->broken = true;
	*dsn_out = client_said(c, &r, "RSET probe");
	return SMTP_SESSION_FAILED;
}

void
smtp_client_end_mail(struct smtp_client *c)
{
	struct dsn ignored;

	if (!c->broken && c->in_mail)
		IGNORE(smtp_client_probe(c, &ignored) != SMTP_SESSION_OK);
}

void
smtp_client_quit(struct smtp_client *c)
{
	const struct smtp_timeouts *t = &c->options.timeouts;
	struct smtp_reply r;
	struct dsn ignored;

	if (c->broken)
		return;
	if (client_send_command(c, t->quit_ms, "sending QUIT", STR("QUIT\r\n"),
				&ignored) == SMTP_SESSION_OK &&
	    c->options.wait_for_quit)
		IGNORE(client_read_reply(c, t->quit_ms, "sending QUIT", &r, &ignored) !=
		       SMTP_SESSION_OK);
	c->broken = true;
}
