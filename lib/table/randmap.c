/* SPDX-License-Identifier: Apache-2.0 */
/* randmap: one of several values, whatever the key; each time another may be drawn. */
#include <errno.h>
#include <sys/random.h>

#include "config/value.h"

#include "table/table_internal.h"

enum { VALUES_MAX = 10000 };

struct randmap {
	struct str *values;
	size_t n;
};

static bool
randmap_open(struct table *t, struct str name, struct err *err)
{
	struct randmap *r = ARENA_NEW(t->mem, struct randmap);
	struct str rest, item;
	const char *why;

	t->state = r;
	r->values = arena_alloc_array(t->mem, VALUES_MAX, sizeof(*r->values));
	if (list_unbrace(name, &rest, &why))
		while (list_next(&rest, &item)) {
			if (r->n == VALUES_MAX)
				return err_set(err, ERR_CONFIG,
					       "more than %d values: \"%s\"", VALUES_MAX,
					       t->name);
			r->values[r->n++] = item;
		}
	if (r->n == 0)
		return err_set(err, ERR_CONFIG,
			       "bad syntax: \"%s\"; need \"randmap:{value...}\"",
			       t->name);
	return true;
}

static enum lookup
randmap_lookup(struct table *t, struct arena *mem, struct str key UNUSED,
	       struct str *value_out, struct err *err)
{
	const struct randmap *r = t->state;
	uint64_t draw;

	if (getrandom(&draw, sizeof(draw), 0) != (ssize_t)sizeof(draw)) {
		err_errno(err, ERR_TEMP, "draw a number");
		return LOOKUP_FAILED;
	}
	/* So few values that the remainder favours none. */
	*value_out = str_dup(mem, r->values[draw % r->n]);
	return LOOKUP_FOUND;
}

const struct table_type table_type_randmap = {
	.name = "randmap",
	.open = randmap_open,
	.lookup = randmap_lookup,
};
