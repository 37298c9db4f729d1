/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "body.h"
#include "dump.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"

enum {
	COMMAND_BYTES_MAX = 2048,
	RCPTS_KEPT_MAX = 1 << 20 /* bytes */
};

struct session {
	struct sink *sink;
	struct stream *stream;
	char client[INET6_ADDRSTRLEN + 8];
	const char *proto;
	struct buf partial; /* a command that goes on after a bare LF */
	bool in_mail;
	size_t rcpts;
	bool has_helo;
	struct buf helo; /* these three only for dumps */
	struct buf mail;
	struct buf rcpt_list;
};

/* What becomes of the session after a command. */
enum next { NEXT_COMMAND, NEXT_CLOSE };

static bool
wants_dump(const struct session *s)
{
	return s->sink->dump_single != NULL || s->sink->dump_multi != NULL;
}

static void
reply(struct session *s, const char *text)
{
	/* Failures stick in the stream; the next read tells. */
	IGNORE(stream_printf(s->stream, "%s\r\n", text) != STREAM_OK);
}

/* Wait with the answer; what was answered before goes out first. */
static void
pause_ms(struct session *s, int64_t ms)
{
	if (ms <= 0)
		return;
	IGNORE(stream_flush(s->stream) != STREAM_OK);
	IGNORE(!fiber_sleep(s->sink->loop, ms));
}

/* -- commands --------------------------------------------------------------------- */

/* What follows the first colon. */
static struct str
after_colon(struct str args)
{
	struct str before;
	struct str rest;

	if (!str_split(args, ':', &before, &rest))
		return STR_EMPTY;
	return str_trim_left(rest);
}

static void
forget_transaction(struct session *s)
{
	s->in_mail = false;
	buf_shrink(&s->mail);
	buf_shrink(&s->rcpt_list);
}

static void
keep_helo(struct session *s, struct str args)
{
	forget_transaction(s);
	s->rcpts = 0;
	if (!wants_dump(s))
		return;
	s->has_helo = true;
	buf_clear(&s->helo);
	buf_add(&s->helo, args);
}

static enum next
do_helo(struct session *s, struct str args)
{
	keep_helo(s, args);
	s->proto = "SMTP";
	IGNORE(stream_printf(s->stream, "250 %s\r\n", s->sink->host) != STREAM_OK);
	return NEXT_COMMAND;
}

static enum next
do_ehlo(struct session *s, struct str args)
{
	const struct sink *sink = s->sink;
	const struct {
		bool hidden;
		const char *line;
	} lines[] = {
		{sink->no_pipelining, "250-PIPELINING"},
		{sink->no_8bitmime, "250-8BITMIME"},
		{sink->no_auth, "250-AUTH PLAIN LOGIN"},
		{sink->no_xclient, "250-XCLIENT NAME HELO"},
		{sink->no_xforward, "250-XFORWARD NAME ADDR PROTO HELO"},
		{sink->no_enhanced, "250-ENHANCEDSTATUSCODES"},
		{sink->no_dsn, "250-DSN"},
	};

	keep_helo(s, args);
	s->proto = sink->lmtp ? "LMTP" : "ESMTP";
	IGNORE(stream_printf(s->stream, "250-%s\r\n", sink->host) != STREAM_OK);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (!lines[i].hidden)
			reply(s, lines[i].line);
	}
	reply(s, "250 ");
	return NEXT_COMMAND;
}

static enum next
do_mail(struct session *s, struct str args)
{
	if (s->in_mail) {
		reply(s, "503 5.5.1 Error: nested MAIL command");
		return NEXT_COMMAND;
	}
	s->in_mail = true;
	s->rcpts = 0;
	if (wants_dump(s)) {
		buf_clear(&s->mail);
		buf_clear(&s->rcpt_list);
		buf_add(&s->mail, after_colon(args));
	}
	reply(s, "250 2.1.0 Ok");
	return NEXT_COMMAND;
}

static enum next
do_rcpt(struct session *s, struct str args)
{
	if (!s->in_mail) {
		reply(s, "503 5.5.1 Error: need MAIL command");
		return NEXT_COMMAND;
	}
	if (wants_dump(s)) {
		struct str rcpt = after_colon(args);

		if (s->rcpt_list.len + rcpt.len + 1 > RCPTS_KEPT_MAX) {
			reply(s, "452 4.5.3 Error: too many recipients for the dump");
			return NEXT_COMMAND;
		}
		buf_add(&s->rcpt_list, rcpt);
		buf_add_char(&s->rcpt_list, '\n');
	}
	s->rcpts++;
	reply(s, "250 2.1.5 Ok");
	return NEXT_COMMAND;
}

static enum next
do_ok(struct session *s, struct str args)
{
	(void)args;
	reply(s, "250 2.0.0 Ok");
	return NEXT_COMMAND;
}

static enum next
do_rset(struct session *s, struct str args)
{
	(void)args;
	forget_transaction(s);
	reply(s, "250 2.1.0 Ok");
	return NEXT_COMMAND;
}

static enum next
do_quit(struct session *s, struct str args)
{
	(void)args;
	s->sink->quits++;
	reply(s, "221 Bye");
	return NEXT_CLOSE;
}

static struct str
command_name(enum sink_command command, struct str name)
{
	return command == SINK_CONNECT ? STR("connect")
	       : command == SINK_DOT   ? STR(".")
				       : name;
}

static void
note_command(struct session *s, enum sink_command command, struct str name,
	     struct str args)
{
	const struct sink *sink = s->sink;
	struct str shown = command_name(command, name);

	if (sink->verbose)
		log_info(sink->log, PRI_STR "%s" PRI_STR, STR_ARG(shown),
			 args.len > 0 ? " " : "", STR_ARG(args));
	if (sink->rules[command].log)
		log_info(sink->syslog, PRI_STR " " PRI_STR, STR_ARG(shown),
			 STR_ARG(args));
}

/* -- data ------------------------------------------------------------------------- */

static bool
open_dump(struct session *s, struct dump **out)
{
	const struct dump_envelope envelope = {
		.client = s->client,
		.proto = s->proto,
		.has_helo = s->has_helo,
		.helo = buf_str(&s->helo),
		.mail = buf_str(&s->mail),
		.rcpts = buf_str(&s->rcpt_list),
	};
	struct err err;

	if (dump_open(s->sink, &envelope, out, &err))
		return true;
	log_write(s->sink->log, LOG_LEVEL_ERROR, "%s", err.text);
	return false;
}

static bool
lost(struct session *s, enum stream_status status)
{
	if (status == STREAM_TIMEOUT)
		log_warning(s->sink->log, "read timeout");
	else if (s->sink->verbose && status == STREAM_ERROR)
		log_info(s->sink->log, "read: %s", strerror(stream_errno(s->stream)));
	return false;
}

/* Everything up to the dot. */
static bool
read_body(struct session *s, struct dump *dump)
{
	struct body body = {.emit = dump != NULL ? dump_add : NULL, .arg = dump};

	for (;;) {
		struct str have = stream_peek(s->stream);
		struct str rest = have;
		enum stream_status status;
		bool ended = body_scan(&body, &rest);

		stream_consume(s->stream, have.len - rest.len);
		if (ended)
			return true;
		status = stream_fill(s->stream);
		if (status != STREAM_OK)
			return lost(s, status);
	}
}

static void
count_message(struct session *s)
{
	struct sink *sink = s->sink;

	sink->messages++;
	sink_show_counters(sink);
}

/* One answer, or in LMTP one per recipient. */
static void
answer_dot(struct session *s, const char *text)
{
	size_t count = s->sink->lmtp ? s->rcpts : 1;

	for (size_t i = 0; i < count; i++)
		reply(s, text);
}

static void
stop_if_enough_messages(struct session *s)
{
	struct sink *sink = s->sink;

	if (sink->quit_messages == 0 || sink->messages < sink->quit_messages)
		return;
	IGNORE(stream_flush(s->stream) != STREAM_OK);
	loop_stop(sink->loop);
}

static const char *
dot_ok(const struct session *s)
{
	return s->sink->lmtp ? "250 2.2.0 Ok" : "250 2.0.0 Ok";
}

static enum next
do_dot(struct session *s, struct str args)
{
	(void)args;
	answer_dot(s, dot_ok(s));
	return NEXT_COMMAND;
}

static enum next run_rule(struct session *s, enum sink_command command, struct str args,
			  enum next (*fn)(struct session *, struct str));

static enum next
abort_early(struct session *s)
{
	pause_ms(s, (int64_t)s->sink->abort_delay_s * 1000);
	reply(s, "550 This violates SMTP");
	return NEXT_CLOSE;
}

static enum next
do_data(struct session *s, struct str args)
{
	struct dump *dump = NULL;
	struct err err;
	enum next next;

	(void)args;
	if (!s->in_mail || s->rcpts == 0) {
		reply(s, "503 5.5.1 Error: need RCPT command");
		return NEXT_COMMAND;
	}
	if (wants_dump(s) && !open_dump(s, &dump)) {
		reply(s, "451 4.3.0 Error: cannot open the dump file");
		return NEXT_COMMAND;
	}
	reply(s, "354 End data with <CR><LF>.<CR><LF>");
	if (s->sink->abort_delay_s >= 0) {
		dump_abort(&dump);
		return abort_early(s);
	}
	pause_ms(s, (int64_t)s->sink->data_delay_s * 1000);
	if (!read_body(s, dump)) {
		dump_abort(&dump);
		return NEXT_CLOSE;
	}
	forget_transaction(s);
	if (dump != NULL && !dump_commit(&dump, &err)) {
		log_write(s->sink->log, LOG_LEVEL_ERROR, "%s", err.text);
		answer_dot(s, "451 4.3.0 Error: cannot write the dump file");
		return NEXT_COMMAND;
	}
	count_message(s);
	note_command(s, SINK_DOT, STR_EMPTY, STR_EMPTY);
	next = run_rule(s, SINK_DOT, STR_EMPTY, do_dot);
	stop_if_enough_messages(s);
	return next;
}

/* -- dispatch --------------------------------------------------------------------- */

static enum next
do_connect(struct session *s, struct str args)
{
	const struct sink *sink = s->sink;

	(void)args;
	if (sink->pix)
		reply(s, "220 ********");
	else
		IGNORE(stream_printf(s->stream, "220 %s%s\r\n", sink->host,
				     sink->no_esmtp ? "" : " ESMTP") != STREAM_OK);
	return NEXT_COMMAND;
}

static enum next (*const command_fns[SINK_COMMANDS])(struct session *, struct str) = {
	[SINK_HELO] = do_helo,   [SINK_EHLO] = do_ehlo, [SINK_LHLO] = do_ehlo,
	[SINK_MAIL] = do_mail,   [SINK_RCPT] = do_rcpt, [SINK_DATA] = do_data,
	[SINK_DOT] = do_dot,     [SINK_RSET] = do_rset, [SINK_NOOP] = do_ok,
	[SINK_VRFY] = do_ok,     [SINK_AUTH] = do_ok,   [SINK_XCLIENT] = do_ok,
	[SINK_XFORWARD] = do_ok, [SINK_QUIT] = do_quit, [SINK_CONNECT] = NULL,
};

static bool
is_offered(const struct sink *sink, enum sink_command command)
{
	switch (command) {
	case SINK_CONNECT:
		return false;
	case SINK_HELO:
		return !sink->lmtp;
	case SINK_EHLO:
		return !sink->lmtp && !sink->no_esmtp;
	case SINK_LHLO:
		return sink->lmtp;
	case SINK_XCLIENT:
		return !sink->no_xclient;
	case SINK_XFORWARD:
		return !sink->no_xforward;
	case SINK_MAIL:
	case SINK_RCPT:
	case SINK_DATA:
	case SINK_DOT:
	case SINK_RSET:
	case SINK_NOOP:
	case SINK_VRFY:
	case SINK_AUTH:
	case SINK_QUIT:
		return true;
	case SINK_COMMANDS:
		break;
	}
	return false;
}

/* The rule that was set for the command comes before the command itself. */
static enum next
run_rule(struct session *s, enum sink_command command, struct str args,
	 enum next (*fn)(struct session *, struct str))
{
	const struct command_rule *rule = &s->sink->rules[command];
	const char *refusal;

	if (rule->hang_up)
		return NEXT_CLOSE;
	pause_ms(s, rule->delay_s > 0 ? sink_delay_ms(rule) : 0);
	if (rule->close) {
		reply(s, "421 4.0.0 Server closing connection");
		return NEXT_CLOSE;
	}
	if (!rule->reject_hard && !rule->reject_soft)
		return fn(s, args);
	refusal = rule->reject_hard ? s->sink->hard_reply : s->sink->soft_reply;
	if (command == SINK_DOT)
		answer_dot(s, refusal);
	else
		reply(s, refusal);
	return NEXT_COMMAND;
}

static enum next
run_line(struct session *s, struct str line)
{
	struct str rest = line;
	struct str name;
	enum sink_command command;
	struct str args;

	if (!str_token(&rest, " \t", &name)) {
		reply(s, "500 5.5.2 Error: unknown command");
		return NEXT_COMMAND;
	}
	if (!sink_command_find(name, &command) || !is_offered(s->sink, command)) {
		reply(s, "500 5.5.1 Error: unknown command");
		return NEXT_COMMAND;
	}
	args = str_skip(line, (size_t)(name.p + name.len - line.p));
	while (args.len > 0 && char_is_blank(args.p[0]))
		args = str_skip(args, 1);
	note_command(s, command, name, args);
	return run_rule(s, command, args, command_fns[command]);
}

/* The next command without its CR LF. */
static bool
read_command(struct session *s, struct str *out)
{
	buf_clear(&s->partial);
	for (;;) {
		struct str line;
		enum stream_status status =
			stream_read_line(s->stream, COMMAND_BYTES_MAX, &line);

		if (status != STREAM_OK && status != STREAM_TOO_LONG)
			return lost(s, status);
		if (status == STREAM_TOO_LONG ||
		    s->partial.len + line.len > COMMAND_BYTES_MAX) {
			log_warning(s->sink->log, "command line too long");
			return false;
		}
		if (stream_line_end(s->stream) == STREAM_EOL_CRLF &&
		    s->partial.len == 0) {
			*out = line;
			return true;
		}
		buf_add(&s->partial, line);
		if (stream_line_end(s->stream) == STREAM_EOL_CRLF) {
			*out = buf_str(&s->partial);
			return true;
		}
		buf_add_char(&s->partial, '\n');
	}
}

static void
converse(struct session *s)
{
	struct str line;
	enum next next;

	note_command(s, SINK_CONNECT, STR_EMPTY, STR_EMPTY);
	next = run_rule(s, SINK_CONNECT, STR_EMPTY, do_connect);
	while (next == NEXT_COMMAND && read_command(s, &line))
		next = run_line(s, line);
}

/* -- life ------------------------------------------------------------------------- */

static void
name_client(struct session *s, const struct listener_peer *peer)
{
	const struct sockaddr_in *in = (const void *)&peer->address;
	const struct sockaddr_in6 *in6 = (const void *)&peer->address;
	char text[INET6_ADDRSTRLEN] = "";

	if (peer->address.ss_family == AF_INET &&
	    inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)) != NULL)
		snprintf(s->client, sizeof(s->client), "%s", text);
	else if (peer->address.ss_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)) != NULL)
		snprintf(s->client, sizeof(s->client), "ipv6:%s", text);
	else
		snprintf(s->client, sizeof(s->client), "local");
}

static void
session_init(struct session *s, struct sink *sink, struct stream *stream,
	     const struct listener_peer *peer)
{
	*s = (struct session){.sink = sink, .stream = stream};
	s->proto = sink->lmtp ? "LMTP" : "SMTP";
	name_client(s, peer);
	buf_init(&s->partial, COMMAND_BYTES_MAX + 1);
	buf_init(&s->helo, COMMAND_BYTES_MAX);
	buf_init(&s->mail, COMMAND_BYTES_MAX);
	buf_init(&s->rcpt_list, RCPTS_KEPT_MAX);
}

void
session_main(struct stream *stream, const struct listener_peer *peer, void *arg)
{
	struct sink *sink = arg;
	struct session s;

	session_init(&s, sink, stream, peer);
	stream_set_timeout_ms(stream, (int64_t)sink->timeout_s * 1000);
	converse(&s);
	if (sink->verbose)
		log_info(sink->log, "disconnect");
	stream_close(&s.stream);
	buf_release(&s.partial);
	buf_release(&s.helo);
	buf_release(&s.mail);
	buf_release(&s.rcpt_list);
	if (fiber_is_cancelled(fiber_current(sink->loop)))
		return; /* we are being ended */
	sink->sessions++;
	sink_show_counters(sink);
	if (sink->quit_sessions > 0 && sink->sessions >= sink->quit_sessions)
		loop_stop(sink->loop);
}
