/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lines of aliases(5), "name: value, value", as postalias stores them. Lines,
 * comments and continuations are those of table/source.h; a line is read as address text
 * (RFC 5322 tokens), so both sides come out in one spelling: the name without quotes, the
 * value with quotes where they are needed and one blank where there were several.
 */

#include <stdbool.h>

#include "table/source.h"

struct arena;

enum alias_kind {
	ALIAS_ENTRY,
	ALIAS_NOT_TEXT,  /* a line that source_complaint() has words for */
	ALIAS_NO_PAIR,   /* no colon, or nothing on one of its sides */
	ALIAS_NOT_LOCAL, /* a name with a domain */
};

/* The entry lives in mem. *why_out with ALIAS_NOT_TEXT. */
enum alias_kind alias_parse(struct arena *mem, const struct source_line *line, bool utf8,
			    struct source_entry *entry_out, enum source_kind *why_out);
