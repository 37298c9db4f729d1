/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What stands to the right in a table of header or body checks (header_checks(5)): one
 * word, in any case, and a text whose meaning depends on it. Pure: who asked does what
 * the action says. An action that lacks what it needs does nothing, and comes with a
 * text for the log.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;

enum check_verb {
	CHECK_DUNNO, /* also OK, and anything that cannot be understood */
	CHECK_BCC,
	CHECK_DISCARD,
	CHECK_FILTER,
	CHECK_HOLD,
	CHECK_IGNORE,
	CHECK_INFO,
	CHECK_PASS,
	CHECK_PREPEND,
	CHECK_REDIRECT,
	CHECK_REJECT,
	CHECK_REPLACE,
	CHECK_STRIP,
	CHECK_WARN,
};

struct check_action {
	enum check_verb verb;
	struct str text;    /* a view of the value: what follows the word */
	struct str warning; /* what is wrong with it, or empty */
};

/* The set of all verbs, and of those that the SMTP client knows. */
enum {
	CHECK_ALL = ~0u,
	CHECK_ON_OUTPUT = 1u << CHECK_DUNNO | 1u << CHECK_IGNORE | 1u << CHECK_INFO |
			  1u << CHECK_PREPEND | 1u << CHECK_REPLACE | 1u << CHECK_STRIP |
			  1u << CHECK_WARN,
};

/* table: the parameter's name, for warnings. is_header: what was matched, because the
 * text that takes its place must be a header field too. allowed: bits of verbs. The
 * warning lives in mem. */
struct check_action check_action_parse(struct arena *mem, const char *table,
				       struct str value, bool is_header,
				       unsigned allowed);

/* "5.7.1 text" of a REJECT, whose text may have a status code of its own; without text
 * the default one. *warning_out: what is wrong with the code, or empty. */
struct str check_action_reason(struct arena *mem, struct str text,
			       struct str *warning_out);

/* The name in log lines: "reject", "warning" (of WARN), ... */
const char *check_verb_name(enum check_verb verb);
