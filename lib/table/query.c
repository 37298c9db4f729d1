/* SPDX-License-Identifier: Apache-2.0 */
#include "table/query.h"

#include "table/match.h"

bool
query_check_template(const struct table *t, const char *what, struct str text,
		     struct err *err)
{
	return template_is_valid(text) ||
	       err_set(err, ERR_CONFIG, "%s: Invalid %s template: " PRI_STR, t->name,
		       what, STR_ARG(text));
}

bool
query_take(struct table *t, struct query *q, const struct setting *rows, struct str text,
	   struct err *err)
{
	struct str domains = rows[QUERY_DOMAIN].value;

	*q = (struct query){
		.name = t->name, .text = text, .result_format = rows[QUERY_FORMAT].value};
	return setting_number(t, &rows[QUERY_LIMIT], 0, INT32_MAX, &q->expansion_limit,
			      err) &&
	       query_check_template(t, "query", text, err) &&
	       query_check_template(t, "result", q->result_format, err) &&
	       (domains.len == 0 ||
		match_open_inside(t, "domain", domains, &q->domains, err));
}

bool
query_sql(struct table *t, const struct setting *rows, struct str *text_out,
	  struct err *err)
{
	static const int needed[] = {QUERY_TABLE, QUERY_SELECT, QUERY_WHERE};

	if (rows[QUERY_TEXT].value.len > 0) {
		*text_out = rows[QUERY_TEXT].value;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (rows[needed[i]].value.len == 0)
			return err_set(err, ERR_CONFIG,
				       "%s: there is no query (and no %s)", t->name,
				       rows[needed[i]].name);
	*text_out = str_printf(
		t->mem,
		"SELECT " PRI_STR " FROM " PRI_STR " WHERE " PRI_STR " = '%%s' " PRI_STR,
		STR_ARG(rows[QUERY_SELECT].value), STR_ARG(rows[QUERY_TABLE].value),
		STR_ARG(rows[QUERY_WHERE].value), STR_ARG(rows[QUERY_MORE].value));
	return true;
}

enum lookup
query_wants(const struct query *q, struct str key, struct err *err)
{
	size_t at = str_rindex(key, '@');
	struct str domain = str_skip(key, at + 1);

	if (q->domains == NULL)
		return LOOKUP_FOUND;
	if (at == 0 || domain.len == 0)
		return LOOKUP_ABSENT;
	switch (match_find(q->domains, domain, NULL, err)) {
	case MATCH_YES:
		return LOOKUP_FOUND;
	case MATCH_NO:
		return LOOKUP_ABSENT;
	case MATCH_FAILED:
		break;
	}
	return LOOKUP_FAILED;
}

enum lookup
query_expand(const struct query *q, struct arena *mem, struct str text, struct str key,
	     template_quote_fn quote, void *arg, struct str *out, struct err *err)
{
	struct buf *b = buf_new(mem, QUERY_MAX);

	if (!template_expand(text, key, key, quote, arg, b))
		return LOOKUP_ABSENT;
	if (!buf_ok(b)) {
		err_set(err, ERR_TEMP, "%s: the query is too long", q->name);
		return LOOKUP_FAILED;
	}
	*out = buf_str(b);
	return LOOKUP_FOUND;
}

void
query_rows_init(struct query_rows *r, struct arena *mem)
{
	*r = (struct query_rows){.all = buf_new(mem, TABLE_VALUE_MAX)};
}

bool
query_add_row(const struct query *q, struct arena *mem, struct query_rows *r,
	      struct str value, struct str key, struct err *err)
{
	struct buf *one;

	if (value.len == 0)
		return true;
	one = buf_new(mem, TABLE_VALUE_MAX);
	if (!template_expand(q->result_format, value, key, NULL, NULL, one))
		return true;
	if (r->all->len > 0)
		buf_add_char(r->all, ',');
	buf_add(r->all, buf_str(one));
	if (!buf_ok(one) || !buf_ok(r->all))
		return err_set(err, ERR_TEMP, "%s: the answer is too long", q->name);
	if (q->expansion_limit != 0 && ++r->n > q->expansion_limit)
		return err_set(err, ERR_TEMP, "%s: Expansion limit exceeded", q->name);
	return true;
}

enum lookup
query_result(const struct query_rows *r, struct str *value_out)
{
	if (r->all->len == 0)
		return LOOKUP_ABSENT;
	*value_out = buf_str(r->all);
	return LOOKUP_FOUND;
}
