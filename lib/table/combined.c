/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unionmap: the values of all tables, with commas between. pipemap: the value of one
 * table is the key of the next.
 */
#include "base/buf.h"

#include "config/value.h"

#include "table/table_internal.h"

enum { INNER_MAX = 100 };

struct combined {
	struct table **inner;
	size_t n;
};

static bool
bad(struct table *t, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s: \"%s\"; need \"%s:{type:name...}\"", what,
		       t->name, t->type->name);
}

static bool
combined_open(struct table *t, struct str name, struct err *err)
{
	struct combined *c = ARENA_NEW(t->mem, struct combined);
	struct str rest, item;
	const char *why;

	c->inner = arena_alloc_array(t->mem, INNER_MAX, sizeof(struct table *));
	t->state = c;
	t->is_pattern = false;
	if (!list_unbrace(name, &rest, &why))
		return bad(t, "bad syntax", err);
	while (list_next(&rest, &item)) {
		if (c->n == INNER_MAX)
			return bad(t, "too many tables", err);
		if (!str_contains(item, ':'))
			return bad(t, "bad syntax", err);
		if (!table_open_inner(t, item, &c->inner[c->n], err))
			return false;
		t->is_pattern |= c->inner[c->n]->is_pattern;
		c->n++;
	}
	if (c->n == 0)
		return bad(t, "bad syntax", err);
	return true;
}

static enum lookup
union_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	const struct combined *c = t->state;
	struct buf *all = buf_new(mem, TABLE_VALUE_MAX);
	bool found = false;

	for (size_t i = 0; i < c->n; i++) {
		struct str value;

		switch (table_lookup(c->inner[i], mem, key, &value, err)) {
		case LOOKUP_FAILED:
			return LOOKUP_FAILED;
		case LOOKUP_ABSENT:
			break;
		case LOOKUP_FOUND:
			if (found)
				buf_add_char(all, ',');
			buf_add(all, value);
			found = true;
			break;
		}
	}
	if (!buf_ok(all)) {
		err_set(err, ERR_PERM, "more than %d bytes of values", TABLE_VALUE_MAX);
		return LOOKUP_FAILED;
	}
	if (!found)
		return LOOKUP_ABSENT;
	*value_out = buf_str(all);
	return LOOKUP_FOUND;
}

static enum lookup
pipe_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	    struct err *err)
{
	const struct combined *c = t->state;

	for (size_t i = 0; i < c->n; i++) {
		enum lookup result = table_lookup(c->inner[i], mem, key, &key, err);

		if (result != LOOKUP_FOUND)
			return result;
	}
	*value_out = key;
	return LOOKUP_FOUND;
}

const struct table_type table_type_unionmap = {
	.name = "unionmap",
	.open = combined_open,
	.lookup = union_lookup,
};

const struct table_type table_type_pipemap = {
	.name = "pipemap",
	.open = combined_open,
	.lookup = pipe_lookup,
};
