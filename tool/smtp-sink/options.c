/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

enum { SESSIONS_DEFAULT = 256, SESSIONS_MAX = 1000000, TIMEOUT_DEFAULT_S = 100 };

NORETURN static void
usage(struct log *log)
{
	log_fatal(log, 1,
		  "usage: smtp-sink [-468aceCEFLNpPv] [-A abort_delay] "
		  "[-b soft_bounce_reply] [-B hard_bounce_reply] [-d dump_template] "
		  "[-D dump_template] [-f commands] [-h hostname] [-H delay] "
		  "[-m max_sessions] [-M quit_messages] [-n quit_sessions] "
		  "[-q commands] [-Q commands] [-r commands] [-R root_dir] "
		  "[-s commands] [-S start_string] [-t timeout] [-T window] [-u user] "
		  "[-w delay] [-W command:delay[:odds]] [inet:][host]:port|unix:path "
		  "backlog");
}

struct str
options_unescape(struct arena *mem, const char *text)
{
	static const char names[] = "abfnrtv";
	static const char values[] = "\a\b\f\n\r\t\v";
	char *out = arena_alloc(mem, strlen(text) + 1);
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		const char *name;
		int octal = 0;
		int digits = 0;

		if (*p != '\\' || p[1] == '\0') {
			out[n++] = *p;
			continue;
		}
		p++;
		while (digits < 3 && p[digits] >= '0' && p[digits] <= '7')
			octal = octal * 8 + (p[digits++] - '0');
		name = strchr(names, *p);
		if (digits > 0) {
			out[n++] = (char)octal;
			p += digits - 1;
		} else {
			out[n++] = name != NULL ? values[name - names] : *p;
		}
	}
	return str_from_mem(out, n);
}

static int
number(struct log *log, const char *what, const char *text, int64_t min, int64_t max)
{
	int64_t value;

	if (!str_to_i64(str_from(text), min, max, &value))
		log_fatal(log, 1, "bad %s: %s", what, text);
	return (int)value;
}

/* Three digits of the right class and a blank. */
static const char *
checked_reply(struct log *log, const char *what, const char *text, char class)
{
	if (text[0] != class || !char_is_digit(text[1]) || !char_is_digit(text[2]) ||
	    text[3] != ' ') {
		log_error(log, "bad %s error reply: %s", what, text);
		usage(log);
	}
	return text;
}

static bool *
pick_hang_up(struct command_rule *rule)
{
	return &rule->hang_up;
}

static bool *
pick_close(struct command_rule *rule)
{
	return &rule->close;
}

static bool *
pick_hard(struct command_rule *rule)
{
	return &rule->reject_hard;
}

static bool *
pick_soft(struct command_rule *rule)
{
	return &rule->reject_soft;
}

static bool *
pick_log(struct command_rule *rule)
{
	return &rule->log;
}

/* Options that only switch something. */
static bool
flag(struct sink *sink, int *family, int c)
{
	const struct {
		int option;
		bool *value;
	} rows[] = {
		{'8', &sink->no_8bitmime},   {'a', &sink->no_auth},
		{'c', &sink->show_counters}, {'C', &sink->no_xclient},
		{'e', &sink->no_esmtp},      {'E', &sink->no_enhanced},
		{'F', &sink->no_xforward},   {'L', &sink->lmtp},
		{'N', &sink->no_dsn},        {'p', &sink->no_pipelining},
		{'P', &sink->pix},           {'v', &sink->verbose},
	};

	if (c == '4' || c == '6') {
		*family = c == '4' ? AF_INET : AF_INET6;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].option == c) {
			*rows[i].value = true;
			return true;
		}
	}
	return false;
}

/* Options about single commands. */
static bool
command_option(struct sink *sink, int c, const char *arg)
{
	const struct {
		int option;
		bool *(*pick)(struct command_rule *rule);
	} rows[] = {{'q', pick_hang_up},
		    {'Q', pick_close},
		    {'f', pick_hard},
		    {'r', pick_soft},
		    {'s', pick_log}};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].option != c)
			continue;
		if (!sink_rules_set(sink, arg, rows[i].pick, &err))
			log_fatal(sink->log, 1, "%s", err.text);
		/* A client must not send on before it knows. */
		sink->no_pipelining = sink->no_pipelining || c == 'f' || c == 'r';
		return true;
	}
	if (c == 'W') {
		if (!sink_delay_set(sink, arg, &err))
			log_fatal(sink->log, 1, "%s", err.text);
		return true;
	}
	return false;
}

/* Options with a number. */
static bool
number_option(struct options *o, struct sink *sink, int c, const char *arg)
{
	struct log *log = sink->log;

	switch (c) {
	case 'A':
		sink->abort_delay_s = number(log, "abort delay", arg, 0, 86400);
		return true;
	case 'H':
		sink->data_delay_s = number(log, "delay", arg, 1, 86400);
		return true;
	case 'm':
		o->max_sessions =
			(size_t)number(log, "concurrency limit", arg, 1, SESSIONS_MAX);
		return true;
	case 'M':
		sink->quit_messages = number(log, "message count", arg, 1, INT_MAX);
		return true;
	case 'n':
		sink->quit_sessions = number(log, "session count", arg, 1, INT_MAX);
		return true;
	case 't':
		sink->timeout_s = number(log, "timeout", arg, 1, 86400);
		return true;
	case 'T':
		o->window_bytes = number(log, "TCP window size", arg, 1, 65535);
		return true;
	case 'w':
		sink->rules[SINK_DATA].delay_s = number(log, "delay", arg, 1, 86400);
		return true;
	default:
		return false;
	}
}

static bool
text_option(struct arena *mem, struct options *o, struct sink *sink, int c,
	    const char *arg)
{
	switch (c) {
	case 'b':
		sink->soft_reply = checked_reply(sink->log, "soft", arg, '4');
		return true;
	case 'B':
		sink->hard_reply = checked_reply(sink->log, "hard", arg, '5');
		return true;
	case 'd':
		sink->dump_single = arg;
		return true;
	case 'D':
		sink->dump_multi = arg;
		return true;
	case 'h':
		sink->host = arg;
		return true;
	case 'R':
		o->root = arg;
		return true;
	case 'S':
		sink->dump_start = options_unescape(mem, arg);
		return true;
	case 'u':
		o->user = arg;
		return true;
	default:
		return false;
	}
}

static void
check_combinations(const struct options *o, struct sink *sink)
{
	if (sink->dump_single != NULL && sink->dump_multi != NULL)
		log_fatal(sink->log, 1, "use only one of -d and -D");
	if (o->root != NULL && geteuid() != 0)
		log_fatal(sink->log, 1, "-R option requires super-user privileges");
	sink->no_esmtp = sink->no_esmtp || sink->pix;
}

void
options_parse(struct arena *mem, struct options *o, struct sink *sink, int argc,
	      char **argv)
{
	int family = AF_UNSPEC;
	struct err err;
	int c;

	sink->host = "smtp-sink";
	sink->soft_reply = "450 4.3.0 Error: command failed";
	sink->hard_reply = "500 5.3.0 Error: command failed";
	sink->dump_start = STR_EMPTY;
	sink->abort_delay_s = -1;
	sink->timeout_s = TIMEOUT_DEFAULT_S;
	o->max_sessions = SESSIONS_DEFAULT;
	while ((c = getopt(
			argc, argv,
			"468aA:b:B:cCd:D:eEf:Fh:H:Lm:M:n:NpPq:Q:r:R:s:S:t:T:u:vw:W:")) !=
	       -1) {
		if (!flag(sink, &family, c) && !command_option(sink, c, optarg) &&
		    !number_option(o, sink, c, optarg) &&
		    !text_option(mem, o, sink, c, optarg))
			usage(sink->log);
	}
	if (argc - optind != 2)
		usage(sink->log);
	check_combinations(o, sink);
	o->endpoint_text = argv[optind];
	o->endpoint = ARENA_NEW(mem, struct endpoint);
	o->backlog = number(sink->log, "backlog", argv[optind + 1], 0, INT_MAX);
	if (!endpoint_for_listening(mem, o->endpoint_text, family, o->endpoint, &err))
		log_fatal(sink->log, 1, "%s", err.text);
}
