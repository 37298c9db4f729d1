/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tables of databases have in common (sqlite_table(5), mysql_table(5) and so on
 * of Postfix): which keys are asked for at all (domain), how the question is made of a
 * key (a template), and how the rows of the answer become one value (result_format,
 * expansion_limit).
 */

#include <stdint.h>

#include "table/settings.h"
#include "table/template.h"

struct match;

struct query {
	const char *name; /* of the table, for texts */
	struct str text, result_format;
	int64_t expansion_limit; /* 0: none */
	struct match *domains;   /* NULL: all keys */
};

/* The rows that every such table has, first in its array of settings. */
enum { QUERY_FORMAT, QUERY_DOMAIN, QUERY_LIMIT, QUERY_ROWS };
#define QUERY_SETTINGS                                                                   \
	[QUERY_FORMAT] = {"result_format", STR("%s")},                                   \
	[QUERY_DOMAIN] = {"domain", STR_EMPTY},                                          \
	[QUERY_LIMIT] = {"expansion_limit", STR("0")}

/* Those of SQL come after them. */
enum {
	QUERY_TEXT = QUERY_ROWS,
	QUERY_SELECT,
	QUERY_TABLE,
	QUERY_WHERE,
	QUERY_MORE,
	QUERY_SQL_ROWS
};
#define QUERY_SQL_SETTINGS                                                               \
	[QUERY_TEXT] = {"query", STR_EMPTY},                                             \
	[QUERY_SELECT] = {"select_field", STR_EMPTY},                                    \
	[QUERY_TABLE] = {"table", STR_EMPTY},                                            \
	[QUERY_WHERE] = {"where_field", STR_EMPTY},                                      \
	[QUERY_MORE] = {"additional_conditions", STR_EMPTY}

enum { QUERY_MAX = 1 << 20 }; /* bytes of a question */

/* From the common rows; `text` is the template of the question. */
bool query_take(struct table *t, struct query *q, const struct setting *rows,
		struct str text, struct err *err) MUST_CHECK;

/* The template of SQL from its rows: query, or made from the older ones. */
bool query_sql(struct table *t, const struct setting *rows, struct str *text_out,
	       struct err *err) MUST_CHECK;

bool query_check_template(const struct table *t, const char *what, struct str text,
			  struct err *err) MUST_CHECK;

/* Is the key one that is asked for? LOOKUP_FOUND if so. */
enum lookup query_wants(const struct query *q, struct str key,
			struct err *err) MUST_CHECK;

/* The question for a key. LOOKUP_ABSENT: the key lacks a part of the template. */
enum lookup query_expand(const struct query *q, struct arena *mem, struct str text,
			 struct str key, template_quote_fn quote, void *arg,
			 struct str *out, struct err *err) MUST_CHECK;

/* Rows of an answer, one by one. */
struct query_rows {
	struct buf *all;
	int64_t n;
};
void query_rows_init(struct query_rows *r, struct arena *mem);
/* An empty value is left out, as one that the format has no expansion for. */
bool query_add_row(const struct query *q, struct arena *mem, struct query_rows *r,
		   struct str value, struct str key, struct err *err) MUST_CHECK;
enum lookup query_result(const struct query_rows *r, struct str *value_out);
