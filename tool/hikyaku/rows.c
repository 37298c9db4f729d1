/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/macros.h"

enum { WHAT_WIDTH = 10, VALUE_WIDTH = 44 };

json_t *
json_printable(struct str text)
{
	struct arena *mem = arena_new();
	json_t *s = json_string(str_c(mem, str_printable(mem, text, true)));

	arena_free(&mem);
	return s;
}

void
rows_init(struct rows *rows)
{
	rows->list = json_array();
}

void
rows_release(struct rows *rows)
{
	json_decref(rows->list);
	rows->list = NULL;
}

void
rows_add(struct rows *rows, int indent, const char *what, struct str value,
	 struct str why)
{
	json_t *r = json_object();

	json_object_set_new(r, "what", json_string(what));
	json_object_set_new(r, "value", json_printable(value));
	json_object_set_new(r, "why", json_printable(why));
	json_object_set_new(r, "indent", json_integer(indent));
	json_array_append_new(rows->list, r);
}

/* Characters on a terminal: continuation bytes of UTF-8 take no place. */
static int
columns(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
print_row(const json_t *r)
{
	const char *what = json_string_value(json_object_get(r, "what"));
	const char *value = json_string_value(json_object_get(r, "value"));
	const char *why = json_string_value(json_object_get(r, "why"));
	int indent = (int)json_integer_value(json_object_get(r, "indent"));

	printf("%*s%-*s  %s", indent * 2, "", WHAT_WIDTH, what, value);
	if (why[0] != '\0')
		printf("%*s  %s", MAX_OF(VALUE_WIDTH - columns(value) - indent * 2, 0),
		       "", why);
	putchar('\n');
}

void
rows_print(const struct rows *rows)
{
	for (size_t i = 0; i < json_array_size(rows->list); i++)
		print_row(json_array_get(rows->list, i));
}
