/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One line of Dovecot's authentication protocol, server to client (its version 1): words
 * between tabs, in which \001 stands before what would be a tab or a line end. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/str.h"

struct arena;

enum dovecot_kind {
	DOVECOT_VERSION,
	DOVECOT_MECH,
	DOVECOT_SPID,
	DOVECOT_DONE,
	DOVECOT_OK,
	DOVECOT_CONT,
	DOVECOT_FAIL,
	DOVECOT_OTHER, /* CUID, COOKIE, and what later versions may say */
};

struct dovecot_reply {
	enum dovecot_kind kind;
	unsigned number;     /* VERSION: major; OK, CONT, FAIL: id */
	struct str text;     /* MECH: name; CONT: challenge in base64; FAIL: reason */
	struct str user;     /* OK, FAIL: decoded; empty: not said */
	unsigned properties; /* MECH: enum sasl_property */
	bool is_private;     /* MECH: not to be listed */
	bool is_temporary;   /* FAIL */
};

enum { DOVECOT_LINE_MAX = 32768 };

/* False: not a line of that protocol. */
bool dovecot_reply_parse(struct arena *mem, struct str line,
			 struct dovecot_reply *out) MUST_CHECK;
