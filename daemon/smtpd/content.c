/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message: DATA, BDAT (RFC 3030).
 *
 * Where a message ends must be the same for everyone who passes it on, else two messages
 * can be hidden in one. So the end of data is CR LF . CR LF and nothing else, unless the
 * configuration has it otherwise (smtpd_forbid_bare_newline, facts: protocols 10). A line
 * of one dot that is not the end, because one of the line ends is a bare LF, is dropped:
 * whoever reads the message next could take it for the end.
 */
#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"

#include "ehlo.h"
#include "log.h"
#include "milter.h"
#include "proxy.h"
#include "session.h"
#include "transaction.h"

enum { BLOCK_BYTES = 4096 };

static struct log *
log_of(const struct session *s)
{
	return s->smtpd->daemon->log;
}

/* ---- deadlines ---- */

/* smtpd_per_request_deadline: for all of the content together; what arrives gives more
 * time, at smtpd_min_data_rate bytes per second, but never more than smtpd_timeout. */
struct pace {
	struct session *s;
	int64_t deadline_ms;
	int64_t spare_bytes; /* that have not given a millisecond yet */
};

static int64_t
now_ms(const struct session *s)
{
	return loop_now_ms(s->smtpd->daemon->loop);
}

static void
pace_begin(struct pace *p, struct session *s)
{
	const struct smtpd_config *c = &s->smtpd->config;

	*p = (struct pace){.s = s, .deadline_ms = LOOP_FOREVER};
	if (c->smtpd_per_request_deadline)
		p->deadline_ms = now_ms(s) + c->smtpd_timeout * 1000;
	stream_set_deadline_ms(s->client, p->deadline_ms);
}

static void
pace_count(struct pace *p, size_t bytes)
{
	const struct smtpd_config *c = &p->s->smtpd->config;
	int64_t latest;
	int64_t gained;

	if (p->deadline_ms == LOOP_FOREVER)
		return;
	p->spare_bytes += (int64_t)bytes;
	gained = p->spare_bytes * 1000 / c->smtpd_min_data_rate;
	if (gained == 0)
		return;
	p->spare_bytes = 0;
	latest = now_ms(p->s) + c->smtpd_timeout * 1000;
	p->deadline_ms = MIN_OF(p->deadline_ms + gained, latest);
	stream_set_deadline_ms(p->s->client, p->deadline_ms);
}

static void
pace_end(struct pace *p)
{
	stream_set_deadline_ms(p->s->client, LOOP_FOREVER);
}

/* ---- common ends ---- */

/* The client is gone, or too slow, in the middle. */
static bool
broken(struct session *s, enum stream_status status)
{
	s->ended_in_content = true;
	s->bytes_at_end = s->tx != NULL ? s->tx->size : 0;
	session_broken(s, status);
	session_reset(s);
	return false;
}

static bool
bare_newline_seen(struct session *s)
{
	s->noted_bare_lf = s->noted_bare_lf || s->smtpd->newlines == NEWLINE_NOTE;
	if (s->smtpd->newlines == NEWLINE_REJECT)
		s->tx->bare_lf = true;
	return s->tx->bare_lf;
}

/* What is known about "the recipient" is known about the only one. */
static struct access_request
request_of(const struct session *s)
{
	struct access_request request = session_request(s);

	request.has_recipient = s->tx->n_recipients == 1;
	if (request.has_recipient)
		request.recipient = s->tx->recipient;
	return request;
}

static bool
refuse_bare_newline(struct session *s)
{
	const struct access_request request = request_of(s);
	struct str line = access_log_line(s->now, &request, ACCESS_END_OF_MESSAGE,
					  "reject", STR("bare <LF> received"));

	log_info(log_of(s), PRI_STR, STR_ARG(line));
	session_reply(s,
		      str_printf(s->now, "%d 5.5.2 " PRI_STR " Error: bare <LF> received",
				 s->smtpd->config.smtpd_forbid_bare_newline_reject_code,
				 STR_ARG(s->smtpd->common.myhostname)));
	return false;
}

/* What the filter said; a line of its own kind, without the client. */
static void
log_verdict(struct session *s, bool ok, struct str reply)
{
	struct access_request request = session_request(s);
	const char *what = ok ? "proxy-accept" : "proxy-reject";
	struct str line;
	size_t at;

	request.has_recipient = true;
	request.recipient = s->tx->recipient;
	line = access_log_line(s->now, &request, ACCESS_END_OF_MESSAGE, what, STR_EMPTY);
	/* What follows the text there: sender, recipient and so on. */
	at = str_index(line, ';');
	log_info(log_of(s), "%s: END-OF-MESSAGE: " PRI_STR PRI_STR, what, STR_ARG(reply),
		 STR_ARG(str_skip(line, at)));
}

/* All of the content is here. */
static bool
conclude(struct session *s, const char *ok_text)
{
	struct access_request request = request_of(s);
	struct access_answer answer;
	struct str reply;
	bool ok = false;

	request.size = s->tx->size;
	s->where = "END-OF-MESSAGE";
	if (s->tx->bare_lf) {
		refuse_bare_newline(s);
	} else if (s->tx->too_large) {
		ok = transaction_commit(s, ok_text, &reply);
		if (s->tx->proxy != NULL)
			log_verdict(s, ok, reply);
		session_reply(s, reply);
	} else {
		access_check(s->access, s->now, ACCESS_END_OF_MESSAGE, &request, &answer);
		if (session_accepts(s, &answer)) {
			ok = transaction_commit(s, ok_text, &reply);
			if (s->tx->proxy != NULL)
				log_verdict(s, ok, reply);
			session_reply(s, reply);
		}
	}
	if (ok)
		s->errors = s->junk = 0;
	session_reset(s);
	s->forward = (struct forward){.said = false};
	if (s->forward_mem != NULL)
		arena_reset(s->forward_mem);
	return ok;
}

/* ---- DATA ---- */

/* What was the last line end, and are we inside a line that is cut into parts? */
struct lines {
	bool last_was_crlf;
	bool in_line;
	bool held_cr; /* a part ended in CR: perhaps the one of the line end */
};

enum line_kind { LINE_TEXT, LINE_END_OF_DATA, LINE_DROPPED };

/* A whole line, or the first part of one. *text loses its dot. */
static enum line_kind
undot(const struct session *s, const struct lines *l, enum stream_eol eol,
      struct str *text)
{
	bool exact = eol == STREAM_EOL_CRLF && l->last_was_crlf;

	if (text->len == 0 || text->p[0] != '.')
		return LINE_TEXT;
	*text = str_skip(*text, 1);
	if (text->len > 0 || eol == STREAM_EOL_NONE)
		return LINE_TEXT;
	return exact || s->accepts_any_newline ? LINE_END_OF_DATA : LINE_DROPPED;
}

/* The line's end may have been cut off its CR by the limit for a part. */
static void
join_cr(struct session *s, struct lines *l, struct str text, enum stream_eol *eol)
{
	if (!l->held_cr)
		return;
	l->held_cr = false;
	if (text.len == 0 && *eol == STREAM_EOL_LF)
		*eol = STREAM_EOL_CRLF;
	else
		transaction_text(s, STR("\r"), false);
}

static enum line_kind
take_data_line(struct session *s, struct lines *l, struct str text, enum stream_eol eol)
{
	bool ends = eol != STREAM_EOL_NONE;
	enum line_kind kind = LINE_TEXT;

	if (l->in_line)
		join_cr(s, l, text, &eol);
	else
		kind = undot(s, l, eol, &text);
	if (eol == STREAM_EOL_LF && !s->accepts_any_newline)
		bare_newline_seen(s);
	if (!ends && text.len > 0 && text.p[text.len - 1] == '\r') {
		l->held_cr = true;
		text.len--;
	}
	if (kind == LINE_TEXT)
		transaction_text(s, text, ends);
	if (ends)
		l->last_was_crlf = eol == STREAM_EOL_CRLF;
	l->in_line = !ends;
	return kind;
}

static enum stream_status
read_data(struct session *s)
{
	size_t limit = (size_t)s->smtpd->common.line_length_limit;
	/* The command line before ended in CR LF, or would have been refused. */
	struct lines l = {.last_was_crlf = true};
	enum stream_status status;
	struct pace pace;
	struct str text;

	pace_begin(&pace, s);
	for (;;) {
		enum stream_eol eol;

		status = stream_read_line(s->client, limit, &text);
		if (status != STREAM_OK && status != STREAM_TOO_LONG)
			break;
		eol = status == STREAM_OK ? stream_line_end(s->client) : STREAM_EOL_NONE;
		pace_count(&pace, text.len + 2);
		if (take_data_line(s, &l, text, eol) == LINE_END_OF_DATA) {
			status = STREAM_OK;
			break;
		}
	}
	pace_end(&pace);
	return status;
}

static bool
has_recipients(struct session *s)
{
	if (s->tx == NULL)
		session_reply_c(s, "503 5.5.1 Error: need RCPT command");
	else if (s->tx->n_recipients == 0)
		session_reply_c(s, "554 5.5.1 Error: no valid recipients");
	return s->tx != NULL && s->tx->n_recipients > 0;
}

static bool
check_data(struct session *s)
{
	const struct access_request request = request_of(s);
	struct access_answer answer;

	access_check(s->access, s->now, ACCESS_DATA, &request, &answer);
	return session_accepts(s, &answer) && milter_tell_data(s);
}

/* The filter must want the content too. */
static bool
begin_filter(struct session *s, struct str command)
{
	struct str reply;

	if (s->tx->proxy == NULL || proxy_command(s, PROXY_MORE, command, &reply))
		return true;
	session_reply(s, reply);
	return false;
}

bool
command_data(struct session *s, const struct smtp_words *words)
{
	enum stream_status status;

	if (s->bdat_failed || (s->tx != NULL && s->tx->is_bdat)) {
		session_reply_c(s, "503 5.5.1 Error: DATA after BDAT");
		return false;
	}
	if (!has_recipients(s))
		return false;
	if (words->n != 1) {
		session_reply_c(s, "501 5.5.4 Syntax: DATA");
		return false;
	}
	if (!check_data(s))
		return false;
	if (!begin_filter(s, s->line))
		return false;
	transaction_begin_content(s);
	session_reply_c(s, "354 End data with <CR><LF>.<CR><LF>");
	status = read_data(s);
	return status == STREAM_OK ? conclude(s, "") : broken(s, status);
}

/* ---- BDAT ---- */

/* A line of a chunk is complete; its LF is taken off. */
static void
end_chunk_line(struct session *s)
{
	struct transaction *tx = s->tx;
	struct str line = buf_str(tx->line);

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	else if (!s->accepts_any_newline)
		bare_newline_seen(s);
	transaction_text(s, line, true);
	buf_clear(tx->line);
}

static void
take_chunk_text(struct session *s, struct str text)
{
	size_t limit = (size_t)s->smtpd->common.line_length_limit;
	struct transaction *tx = s->tx;

	while (text.len > 0) {
		size_t lf = str_index(text, '\n');
		size_t room = limit - tx->line->len;
		struct str piece = str_head(text, MIN_OF(lf, room));

		buf_add(tx->line, piece);
		text = str_skip(text, piece.len);
		if (text.len > 0 && text.p[0] == '\n') {
			text = str_skip(text, 1);
			end_chunk_line(s);
		} else if (tx->line->len == limit) {
			/* Keep a CR: it may belong to the line's end. */
			size_t keep = tx->line->p[limit - 1] == '\r' ? 1 : 0;

			transaction_text(s, str_head(buf_str(tx->line), limit - keep),
					 false);
			buf_consume(tx->line, limit - keep);
		}
	}
}

/* The whole chunk, also one that is not wanted. */
static enum stream_status
read_chunk(struct session *s, int64_t count, bool is_wanted)
{
	enum stream_status status = STREAM_OK;
	struct pace pace;

	pace_begin(&pace, s);
	while (count > 0) {
		size_t want = (size_t)MIN_OF(count, (int64_t)BLOCK_BYTES);
		char block[BLOCK_BYTES];
		size_t got;

		status = stream_read(s->client, block, want, &got);
		if (status != STREAM_OK)
			break;
		pace_count(&pace, got);
		count -= (int64_t)got;
		if (is_wanted)
			take_chunk_text(s, str_from_mem(block, got));
	}
	pace_end(&pace);
	return status;
}

static bool
skip_chunk(struct session *s, int64_t count)
{
	enum stream_status status = read_chunk(s, count, false);

	return status == STREAM_OK || broken(s, status);
}

/* Refuse a chunk and all that follow, up to the last. */
static bool
refuse_chunk(struct session *s, int64_t count, bool last, struct str reply)
{
	if (!skip_chunk(s, count))
		return false;
	session_reply(s, reply);
	if (last)
		session_reset(s);
	else
		s->bdat_failed = true;
	return false;
}

/* May this chunk be taken? Else it has been read and refused. */
static bool
accept_chunk(struct session *s, int64_t count, bool last)
{
	int64_t limit = s->smtpd->common.message_size_limit;
	struct transaction *tx = s->tx;

	if (count == 0 && !last) {
		log_bdat(log_of(s), tx != NULL ? tx->id : STR_EMPTY, "null BDAT request",
			 s->peer.text, STR_EMPTY);
		return refuse_chunk(s, count, last, STR("551 5.7.1 Null BDAT request"));
	}
	if (s->bdat_failed)
		return refuse_chunk(s, count, last,
				    str_printf(s->now,
					       "551 5.0.0 Discarded %" PRId64
					       " bytes after earlier error",
					       count));
	if (tx == NULL)
		return refuse_chunk(s, count, last,
				    STR("503 5.5.1 Error: need RCPT command"));
	tx->is_bdat = true;
	if (tx->n_recipients == 0)
		return refuse_chunk(s, count, last,
				    STR("554 5.5.1 Error: no valid recipients"));
	if (limit > 0 && count > limit - tx->size) {
		log_bdat_size(log_of(s), tx->id, s->peer.text);
		return refuse_chunk(s, count, last,
				    STR("552 5.3.4 Chunk exceeds message size limit"));
	}
	return true;
}

/* The first chunk: as at DATA. */
static bool
begin_chunks(struct session *s, int64_t count, bool last)
{
	struct transaction *tx = s->tx;

	if (tx->begun)
		return true;
	if (!check_data(s) || !begin_filter(s, STR("DATA"))) {
		s->bdat_failed = true;
		if (s->end == SESSION_RUNS)
			IGNORE(skip_chunk(s, count));
		if (last)
			session_reset(s);
		return false;
	}
	transaction_begin_content(s);
	tx->line = buf_new(tx->mem, (size_t)s->smtpd->common.line_length_limit);
	return true;
}

bool
command_bdat(struct session *s, const struct smtp_words *words)
{
	enum stream_status status;
	int64_t count;
	bool last;

	if ((s->discarded & EHLO_CHUNKING) != 0) {
		session_reply_c(s, "521 5.5.1 Error: command not implemented");
		return false;
	}
	if (!smtp_bdat_parse(words, &count, &last)) {
		log_bdat(log_of(s), s->tx != NULL ? s->tx->id : STR_EMPTY,
			 "malformed BDAT command syntax", s->peer.text,
			 smtp_words_join(s->now, words, 0));
		session_reply_c(s, "521 5.5.4 Syntax: BDAT count [LAST]");
		return false;
	}
	if (!accept_chunk(s, count, last) || !begin_chunks(s, count, last))
		return false;
	status = read_chunk(s, count, true);
	if (status != STREAM_OK)
		return broken(s, status);
	if (!last) {
		session_reply(
			s, str_printf(s->now, "250 2.0.0 Ok: %" PRId64 " bytes", count));
		return true;
	}
	if (s->tx->line->len > 0)
		transaction_text(s, buf_str(s->tx->line), true);
	return conclude(
		s, str_c(s->now, str_printf(s->now, "%" PRId64 " bytes ", s->tx->size)));
}
