/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text that postmap(1) reads and that texthash: tables are: "key blanks value" lines.
 * A line that begins with a blank continues the one before, lines whose first character
 * is '#' and empty lines do not count (also between continuations). A key with blanks in
 * it is written "in double quotes" or with a \ before them; quotes and \ stay part of
 * the key, as they do in an address.
 *
 * Pure: text in, entries out. Values are views into a copy in the arena.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

enum {
	SOURCE_FILE_MAX = 256 << 20, /* bytes of a text file that is read whole */
	SOURCE_LINE_MAX = 1 << 20, /* bytes of a logical line; longer ones are an error */
};

/* Logical lines, shared by all text tables. */
struct source_lines {
	struct arena *mem;
	struct str rest;
	int next_line; /* number of the next physical line */
};

struct source_line {
	struct str text; /* without line ends; continuations joined as they stand */
	int first, last; /* numbers of the physical lines */
	bool too_long;
};

void source_lines_init(struct source_lines *l, struct arena *mem, struct str text);

/* False at the end. */
bool source_lines_next(struct source_lines *l, struct source_line *line_out);

struct source_entry {
	struct str key; /* as written, not folded */
	struct str value;
};

/* What a logical line is. Anything but SOURCE_ENTRY is to be reported as a warning:
 * source_complaint() has the words. */
enum source_kind {
	SOURCE_ENTRY,
	SOURCE_ENTRY_COLON,   /* an entry, but it looks like one of aliases(5) */
	SOURCE_LEADING_BLANK, /* the first line of the file continues nothing */
	SOURCE_NOT_UTF8,
	SOURCE_UNBALANCED, /* a quote is not closed */
	SOURCE_NO_VALUE,
	SOURCE_NUL,      /* a NUL byte in the line */
	SOURCE_TOO_LONG, /* more than SOURCE_LINE_MAX bytes with its continuations */
};

/* The entry is a view into the line. */
enum source_kind source_parse(const struct source_line *line, bool utf8,
			      struct source_entry *entry_out);

/* "FILE, line N: ..." for a kind that is not SOURCE_ENTRY. */
const char *source_complaint(struct arena *mem, enum source_kind kind, const char *file,
			     const struct source_line *line);
