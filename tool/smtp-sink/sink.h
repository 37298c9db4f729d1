/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What smtp-sink was told to do, and what it has seen so far. One struct sink per
 * process; sessions (session.h) read it and count in it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "fiber/loop.h"

/* In the order of the rows in command.c. */
enum sink_command {
	SINK_CONNECT,
	SINK_HELO,
	SINK_EHLO,
	SINK_LHLO,
	SINK_MAIL,
	SINK_RCPT,
	SINK_DATA,
	SINK_DOT,
	SINK_RSET,
	SINK_NOOP,
	SINK_VRFY,
	SINK_AUTH,
	SINK_XCLIENT,
	SINK_XFORWARD,
	SINK_QUIT,
	SINK_COMMANDS
};

/* What -f -q -Q -r -s and -W ask for, per command. */
struct command_rule {
	bool hang_up;     /* -q */
	bool close;       /* -Q: 421 first */
	bool reject_hard; /* -f */
	bool reject_soft; /* -r */
	bool log;         /* -s */
	int delay_s;      /* -W, -w */
	int odds;         /* 1..99 of a hundred: once more the delay */
};

struct sink {
	struct loop *loop;
	struct log *log;    /* standard error */
	struct log *syslog; /* -s */
	struct command_rule rules[SINK_COMMANDS];
	const char *host;
	const char *soft_reply;
	const char *hard_reply;
	const char *dump_single; /* -d; strftime(3) template */
	const char *dump_multi;  /* -D */
	struct str dump_start;   /* -S, unescaped */
	bool lmtp;
	bool no_8bitmime;
	bool no_auth;
	bool no_xclient;
	bool no_xforward;
	bool no_esmtp;
	bool no_enhanced;
	bool no_dsn;
	bool no_pipelining;
	bool pix;
	bool show_counters;
	bool verbose;
	int abort_delay_s; /* -A; < 0: no */
	int data_delay_s;  /* -H */
	int timeout_s;
	int64_t quit_sessions; /* -n; 0: no limit */
	int64_t quit_messages; /* -M */

	int64_t sessions; /* ended */
	int64_t quits;
	int64_t messages;
};

/* The name as in -f and in SMTP, any case. False if there is no such command. */
bool sink_command_find(struct str name, enum sink_command *out);

/* Set a member of the rules of all commands in a list like "mail, rcpt"; pick returns it.
 */
bool sink_rules_set(struct sink *sink, const char *list,
		    bool *(*pick)(struct command_rule *rule), struct err *err) MUST_CHECK;

/* "command:delay[:odds]". */
bool sink_delay_set(struct sink *sink, const char *text, struct err *err) MUST_CHECK;

/* How long to wait before the answer to a command; rolls the dice. */
int64_t sink_delay_ms(const struct command_rule *rule);

/* Show the counters if that was asked for. */
void sink_show_counters(const struct sink *sink);
