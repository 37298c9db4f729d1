/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Logical lines of main.cf and master.cf: a line that begins with a blank continues the
 * one before; comment lines and empty lines may stand between and do not end it. Pure.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

enum lines_kind {
	LINES_SKIPPED, /* comments and empty lines */
	LINES_STRAY,   /* a continuation with nothing to continue */
	LINES_TEXT,
};

struct lines {
	struct str rest;
	unsigned next_line; /* number of the first line of rest */
};

struct lines_item {
	enum lines_kind kind;
	unsigned first; /* line numbers of the first and last physical line */
	unsigned last;
	struct str raw; /* the physical lines, comments between included, with newlines */
	struct str text; /* without newlines and comments; LINES_TEXT trimmed */
};

struct lines lines_start(struct str file);

/* The next item, or false at the end. */
bool lines_next(struct arena *mem, struct lines *at, struct lines_item *out);
