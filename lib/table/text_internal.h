/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A text file that is read whole into something quicker to search, and read again when it
 * changed: texthash, cidr, regexp. The rules of the latter may also stand in the name
 * itself: "cidr:{ {RULE}, {RULE} }".
 */

#include "table/source.h"
#include "table/table_internal.h"

/* The rules, one by one. */
struct text_rules {
	struct source_lines lines;
	struct str braces; /* the rest of the text in braces */
	bool is_inline;
	int n_inline;
};

/* False at the end. Inline rules are numbered from 1, as if each were a line. */
bool text_rules_next(struct text_rules *r, struct source_line *line_out);

/* Make what is searched, in mem. False only if the whole table is useless. */
typedef bool (*text_load_fn)(struct table *t, struct arena *mem, struct text_rules *rules,
			     void **data_out, struct err *err);

struct text_file {
	char *path;       /* NULL: inline */
	const char *noun; /* for complaints: "database " or nothing */
	struct file_id id;
	struct arena *content;
	text_load_fn load;
	void *data;
};

/* Sets t->state to a struct text_file. */
bool text_open(struct table *t, struct str name, bool may_be_inline, text_load_fn load,
	       struct err *err) MUST_CHECK;

/* What load() made, of the file as it is now. */
bool text_current(struct table *t, void **data_out, struct err *err) MUST_CHECK;

/* How complaints name the place: the path, or "inline". */
const char *text_where(const struct table *t);
