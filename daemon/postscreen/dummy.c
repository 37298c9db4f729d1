/* SPDX-License-Identifier: Apache-2.0 */
#include "dummy.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "fiber/stream.h"
#include "mail/address.h"
#include "smtp/server_command.h"
#include "table/maps.h"
#include "table/match.h"

#include "log.h"
#include "postscreen.h"

enum { MS = 1000, REPLY_MAX = 4096, PEEK_MAX = 100 };

static const char phase[] = "tests after SMTP handshake";

/* ---- replies ---- */

static bool
say(struct client *c, struct str reply)
{
	return stream_write(c->stream, reply) == STREAM_OK &&
	       stream_write(c->stream, STR("\r\n")) == STREAM_OK &&
	       stream_flush(c->stream) == STREAM_OK;
}

static struct str
unavailable(struct client *c)
{
	return str_printf(c->mem, "421 " PRI_STR " Service unavailable - try again later",
			  STR_ARG(c->screen->common.myhostname));
}

/* ---- commands; false: the session is over ---- */

typedef bool dummy_command(struct client *c, struct str line,
			   const struct smtp_words *words);

static bool
set_helo(struct client *c, const struct smtp_words *words, bool esmtp)
{
	c->helo = str_printable(c->mem, str_head(smtp_words_join(c->now, words, 1), 512),
				true);
	c->is_esmtp = esmtp;
	c->has_sender = false;
	c->sender = STR_EMPTY;
	return true;
}

static bool
cmd_helo(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	if (words->n < 2)
		return say(c, STR("501 Syntax: HELO hostname"));
	set_helo(c, words, false);
	return say(c, str_printf(c->now, "250 " PRI_STR,
				 STR_ARG(c->screen->common.myhostname)));
}

/* Words of the list in the order of the reply. */
static struct str
find_discarded(struct client *c)
{
	struct maps_hit hit;
	struct err err;

	if (maps_count(c->screen->discard_maps) > 0) {
		switch (maps_find(c->screen->discard_maps, c->now, c->address, MAPS_ALL,
				  &hit, &err)) {
		case LOOKUP_FOUND:
			return hit.value;
		case LOOKUP_FAILED:
			log_warning(c->screen->log, "%s", err.text);
			return STR("starttls");
		case LOOKUP_ABSENT:
			break;
		}
	}
	return c->config->postscreen_discard_ehlo_keywords;
}

static bool
has_word(struct str list, struct str word)
{
	struct str w;

	while (str_token(&list, ", \t\r\n", &w))
		if (str_ieq(w, word))
			return true;
	return false;
}

static struct str
ehlo_reply(struct client *c)
{
	const struct screen *s = c->screen;
	struct str discarded = find_discarded(c);
	struct buf *out = buf_new(c->now, REPLY_MAX);
	size_t last = 0;
	const struct {
		const char *word;
		bool offered;
	} rows[] = {{"SIZE", true},
		    {"VRFY", true},
		    {"ETRN", true},
		    {"STARTTLS", false},
		    {"ENHANCEDSTATUSCODES", true},
		    {"8BITMIME", true},
		    {"DSN", true},
		    {"SMTPUTF8", s->common.smtputf8_enable},
		    {"CHUNKING", true}};

	buf_printf(out, "250 " PRI_STR, STR_ARG(s->common.myhostname));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].offered || has_word(discarded, str_from(rows[i].word)))
			continue;
		out->p[last + 3] = '-';
		buf_add_c(out, "\r\n");
		last = out->len;
		buf_printf(out, "250 %s", rows[i].word);
		if (i == 0 && s->common.message_size_limit > 0)
			buf_printf(out, " %" PRId64, s->common.message_size_limit);
	}
	return buf_str(out);
}

static bool
cmd_ehlo(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	if (words->n < 2)
		return say(c, STR("501 Syntax: EHLO hostname"));
	set_helo(c, words, true);
	return say(c, ehlo_reply(c));
}

/* The address behind "FROM:" or "TO:". NULL, or the reply that says what is wrong. This
 * is for the log only, so much is taken that smtpd would refuse. */
static const char *
take_address(struct client *c, const struct smtp_words *words, struct str keyword,
	     const char *syntax, struct str *out)
{
	static const struct smtp_path_rules rules = {.utf8 = true, .may_be_empty = true};
	struct str text = STR_EMPTY;

	if (words->n < 2 || !str_ieq(words->word[1], keyword))
		return syntax;
	if (words->n > 2)
		text = words->word[2];
	switch (smtp_path_parse(c->now, text, &rules, out)) {
	case SMTP_PATH_OK:
		break;
	case SMTP_PATH_ILLEGAL:
		*out = text;
		break;
	case SMTP_PATH_OPEN:
		*out = str_skip(text, str_starts(text, STR("<")) ? 1 : 0);
		break;
	}
	*out = str_printable(c->mem, address_quote_smtp(c->now, *out), true);
	return NULL;
}

static bool
cmd_mail(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	struct str sender;
	const char *fault;

	if (c->config->postscreen_helo_required && c->helo.len == 0)
		return say(c, STR("503 5.5.1 Error: send HELO/EHLO first"));
	if (c->has_sender)
		return say(c, STR("503 5.5.1 Error: nested MAIL command"));
	fault = take_address(c, words, STR("FROM:"),
			     "501 5.5.4 Syntax: MAIL FROM:<address>", &sender);
	if (fault != NULL)
		return say(c, str_from(fault));
	c->sender = sender;
	c->has_sender = true;
	return say(c, STR("250 2.1.0 Ok"));
}

static bool
cmd_rcpt(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	struct str recipient;
	const char *fault;

	if (!c->has_sender)
		return say(c, STR("503 5.5.1 Error: need MAIL command"));
	fault = take_address(c, words, STR("TO:"), "501 5.5.4 Syntax: RCPT TO:<address>",
			     &recipient);
	if (fault != NULL)
		return say(c, str_from(fault));
	log_reject_rcpt(c, c->rcpt_reply, recipient);
	return say(c, c->rcpt_reply);
}

/* The content that follows would look like commands. */
static bool
cmd_data(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	const char *reply = "554 5.5.1 Error: no valid recipients";

	if (words->n > 1)
		reply = "501 5.5.4 Syntax: DATA";
	else if (!c->has_sender)
		reply = "503 5.5.1 Error: need RCPT command";
	log_client_from(c, "DATA without valid RCPT");
	client_drop(c, str_from(reply));
	return false;
}

static bool
cmd_bdat(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	const char *reply = "554 5.5.1 Error: no valid recipients";

	if (words->n < 2)
		reply = "501 5.5.4 Syntax: BDAT count [LAST]";
	else if (!c->has_sender)
		reply = "554 5.5.1 Error: need MAIL command";
	log_client_from(c, "BDAT without valid RCPT");
	client_drop(c, str_from(reply));
	return false;
}

static bool
cmd_rset(struct client *c, struct str line UNUSED, const struct smtp_words *words UNUSED)
{
	c->has_sender = false;
	c->sender = STR_EMPTY;
	return say(c, STR("250 2.0.0 Ok"));
}

static bool
cmd_noop(struct client *c, struct str line UNUSED, const struct smtp_words *words UNUSED)
{
	return say(c, STR("250 2.0.0 Ok"));
}

static bool
cmd_vrfy(struct client *c, struct str line UNUSED, const struct smtp_words *words)
{
	if (words->n < 2)
		return say(c, STR("501 5.5.4 Syntax: VRFY address"));
	if (c->config->postscreen_disable_vrfy_command)
		return say(c, STR("502 5.5.1 VRFY command is disabled"));
	return say(c, c->rcpt_reply);
}

static bool
cmd_none(struct client *c, struct str line UNUSED, const struct smtp_words *words UNUSED)
{
	return say(c, STR("502 5.5.1 Error: command not implemented"));
}

static bool
cmd_etrn(struct client *c, struct str line UNUSED, const struct smtp_words *words UNUSED)
{
	return say(c, STR("458 Unable to queue messages"));
}

static bool
cmd_quit(struct client *c, struct str line UNUSED, const struct smtp_words *words UNUSED)
{
	client_drop(c, STR("221 2.0.0 Bye"));
	return false;
}

struct dummy_row {
	const char *name;
	dummy_command *run;
	bool has_payload; /* what follows need not wait for the reply */
};

static const struct dummy_row table[] = {
	{"HELO", cmd_helo, false}, {"EHLO", cmd_ehlo, false},
	{"MAIL", cmd_mail, false}, {"RCPT", cmd_rcpt, false},
	{"DATA", cmd_data, false}, {"BDAT", cmd_bdat, true},
	{"RSET", cmd_rset, false}, {"NOOP", cmd_noop, false},
	{"VRFY", cmd_vrfy, false}, {"QUIT", cmd_quit, false},
	{"ETRN", cmd_etrn, false}, {"STARTTLS", cmd_none, false},
};

static const struct dummy_row *
find_row(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (str_ieq(word, str_from(table[i].name)))
			return &table[i];
	return NULL;
}

/* ---- tests; false: the client is to be dropped ---- */

static bool
is_open_test(const struct client *c, enum screen_test test)
{
	return (c->todo & 1u << test) != 0 &&
	       ((c->failed | c->settled) & 1u << test) == 0;
}

static bool
fail(struct client *c, enum screen_test test, const char *drop)
{
	return client_fail(c, 1u << test, c->screen->action[test], str_from(drop),
			   STR("550 5.5.1 Protocol error"));
}

static bool
check_newline(struct client *c, struct str line)
{
	if (!is_open_test(c, TEST_BARE_NEWLINE) ||
	    stream_line_end(c->stream) != STREAM_EOL_LF)
		return true;
	log_client_after(c, "BARE NEWLINE", str_c(c->now, escape_text(c->now, line)));
	return fail(c, TEST_BARE_NEWLINE, "521 5.5.1 Protocol error");
}

static bool
check_smtp(struct client *c, const struct dummy_row *row, struct str verb,
	   struct str rest)
{
	struct err err;

	if (row != NULL || !is_open_test(c, TEST_NON_SMTP) ||
	    (!smtp_is_header_like(verb) &&
	     match_find(c->screen->forbidden, verb, NULL, &err) != MATCH_YES))
		return true;
	log_non_smtp(c, verb, rest);
	return fail(c, TEST_NON_SMTP,
		    "521 5.7.0 Error: I can break rules, too. Goodbye.");
}

static bool
check_pipelining(struct client *c, const struct dummy_row *row, struct str verb)
{
	if (!is_open_test(c, TEST_PIPELINING) || (row != NULL && row->has_payload) ||
	    !stream_has_input(c->stream) || stream_buffered(c->stream) == 0)
		return true;
	log_pipelining(c, verb, str_head(stream_peek(c->stream), PEEK_MAX));
	return fail(c, TEST_PIPELINING, "521 5.5.1 Protocol error");
}

static void
pass_deep(struct client *c)
{
	for (unsigned t = 0; t < TESTS; t++)
		if ((TESTS_DEEP & 1u << t) != 0)
			client_pass(c, t, screen_now() + c->screen->ttl[t]);
}

/* ---- lines ---- */

static struct str
filter(struct client *c, struct str line)
{
	struct maps_hit hit;
	struct err err;

	if (maps_count(c->screen->command_filter) == 0)
		return line;
	switch (maps_find(c->screen->command_filter, c->now, line, MAPS_ALL, &hit,
			  &err)) {
	case LOOKUP_FOUND:
		log_info(c->screen->log,
			 "[" PRI_STR "]:" PRI_STR ": replacing command \"" PRI_STR
			 "\" with \"" PRI_STR "\"",
			 STR_ARG(c->address), STR_ARG(c->port),
			 STR_ARG(str_head(line, 100)), STR_ARG(str_head(hit.value, 100)));
		return hit.value;
	case LOOKUP_FAILED:
		log_warning(c->screen->log, "%s", err.text);
		break;
	case LOOKUP_ABSENT:
		break;
	}
	return line;
}

static bool
serve_line(struct client *c, struct str line)
{
	const struct dummy_row *row;
	struct smtp_words words;
	struct str verb = STR_EMPTY;
	struct str rest;

	if (!check_newline(c, line))
		return false;
	/* At a NUL the line ends. */
	line = filter(c, str_dup(c->now, str_head(line, str_index(line, '\0'))));
	smtp_words_split(c->now, line, &words);
	rest = line;
	IGNORE(str_token(&rest, " \t", &verb));
	row = find_row(verb);
	if (!check_smtp(c, row, verb, str_trim(rest)) ||
	    !check_pipelining(c, row, row != NULL ? str_from(row->name) : verb))
		return false;
	if (row != NULL && row->run == cmd_rcpt)
		pass_deep(c);
	c->where = row == NULL ? "UNKNOWN" : row->name;
	if (++c->commands > c->config->postscreen_command_count_limit &&
	    (row == NULL || row->run != cmd_quit)) {
		log_client_after(c, "COMMAND COUNT LIMIT", c->where);
		client_drop(c, unavailable(c));
		return false;
	}
	if (row == NULL)
		return say(c, STR("502 5.5.2 Error: command not recognized"));
	return row->run(c, line, &words);
}

static bool
read_line(struct client *c, struct str *line_out)
{
	int64_t ms = c->config->postscreen_command_time_limit * MS;

	stream_set_deadline_ms(c->stream,
			       stream_loop(c->stream) == NULL
				       ? LOOP_FOREVER
				       : loop_deadline_ms(stream_loop(c->stream), ms));
	switch (stream_read_line(c->stream, (size_t)c->screen->common.line_length_limit,
				 line_out)) {
	case STREAM_OK:
		return true;
	case STREAM_TOO_LONG:
		log_client_after(c, "COMMAND LENGTH LIMIT", c->where);
		client_drop(c, unavailable(c));
		return false;
	case STREAM_TIMEOUT:
		log_client_after(c, "COMMAND TIME LIMIT", c->where);
		client_drop(c, str_printf(c->mem,
					  "421 4.4.2 " PRI_STR " Error: timeout exceeded",
					  STR_ARG(c->screen->common.myhostname)));
		return false;
	case STREAM_EOF:
	case STREAM_ERROR:
	case STREAM_CANCELLED:
		break;
	}
	client_hangup(c, phase);
	return false;
}

void
dummy_run(struct client *c)
{
	struct str line;
	bool more;

	c->keeps_out = true;
	c->where = "CONNECT";
	/* Where somebody is to be kept out in any case, the log may as well tell how it
	 * behaves. */
	c->todo |= TESTS_DEEP & ~c->passed;
	/* Who has talked too early has no need of a greeting. */
	more = (c->failed & 1u << TEST_PREGREET) != 0 ||
	       say(c, str_printf(c->now, "220 " PRI_STR, STR_ARG(c->screen->banner)));
	while (more && read_line(c, &line)) {
		more = serve_line(c, line);
		arena_reset(c->now);
	}
	if (!more && !c->dropped && !c->gone)
		client_hangup(c, phase);
}
