/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/base64.h"
#include "table/table.h"

static struct table *
open_table(const struct postmap *p, const char *argument)
{
	unsigned flags = (p->fold ? TABLE_FOLD : 0) | (p->utf8 ? TABLE_UTF8 : 0);
	const char *const *texts;
	struct str type, name;
	struct table *t;
	struct err err;
	size_t n;

	postmap_split(p, str_from(argument), &type, &name);
	if (!table_open(
		    p->mem,
		    str_printf(p->mem, PRI_STR ":" PRI_STR, STR_ARG(type), STR_ARG(name)),
		    flags, &t, &err))
		postmap_die(p, "%s", err.text);
	n = table_warnings(t, &texts);
	for (size_t i = 0; i < n; i++)
		postmap_warn(p, "%s", texts[i]);
	return t;
}

static void
put(struct str s)
{
	fwrite(s.p, 1, s.len, stdout);
}

/* "key TAB value", "key: TAB value" */
static void
put_entry(const struct postmap *p, struct str key, struct str value)
{
	put(key);
	if (p->aliases)
		putchar(':');
	putchar('\t');
	put(value);
	putchar('\n');
}

static void
warn_empty(const struct postmap *p, const struct table *t, struct str key)
{
	postmap_warn(p, "table %s: key " PRI_STR ": empty string result is not allowed",
		     table_name(t), STR_ARG(key));
	postmap_warn(p, "table %s should return NO RESULT in case of NOT FOUND",
		     table_name(t));
}

/* With -F what is stored is the files' content in base64. */
static struct str
decoded(const struct postmap *p, struct arena *mem, const struct table *t, struct str key,
	struct str value)
{
	struct str raw;

	if (!p->files)
		return value;
	if (base64_decode(mem, value, &raw))
		return raw;
	postmap_warn(p, "table %s: key " PRI_STR ": malformed BASE64 value: " PRI_STR,
		     table_name(t), STR_ARG(key), STR_ARG(str_head(value, 100)));
	postmap_die(p, "table %s: query error", table_name(t));
}

/* In the first table that has it. A failing table is the end: a later one might give what
 * the failing one should have prevented. */
static bool
find(const struct postmap *p, struct arena *mem, struct str key, char **arguments,
     struct table **tables, int n, struct str *value_out)
{
	for (int i = 0; i < n; i++) {
		struct str value;
		struct err err;

		/* Opened when it is its turn: a later one that does not exist does not
		 * matter to what an earlier one has. */
		if (tables[i] == NULL)
			tables[i] = open_table(p, arguments[i]);
		if (p->utf8 && !str_is_utf8(key))
			postmap_warn(p,
				     "%s: non-UTF-8 key \"%s\": malformed UTF-8 or "
				     "invalid codepoint",
				     table_name(tables[i]),
				     str_printable(mem, key, false).p);
		switch (table_lookup(tables[i], mem, key, &value, &err)) {
		case LOOKUP_FAILED:
			postmap_die(p, "%s", err.text);
		case LOOKUP_ABSENT:
			continue;
		case LOOKUP_FOUND:
			break;
		}
		if (value.len == 0)
			warn_empty(p, tables[i], key);
		*value_out = decoded(p, mem, tables[i], key, value);
		return true;
	}
	return false;
}

/* A write that failed must not look like an answer. */
static int
finish(const struct postmap *p, int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		postmap_die(p, "write to standard output failed");
	return status;
}

int
query_key(const struct postmap *p, struct str key, char **arguments, int n_tables)
{
	struct table **tables =
		arena_alloc_array(p->mem, (size_t)n_tables, sizeof(*tables));
	struct str value;

	if (!find(p, p->mem, key, arguments, tables, n_tables, &value))
		return 1;
	put(value);
	putchar('\n');
	return finish(p, 0);
}

/* The next line without its end; false at the end. */
static bool
read_line(const struct postmap *p, struct buf *line)
{
	int c;

	buf_clear(line);
	while ((c = getchar_unlocked()) != EOF && c != '\n')
		buf_add_char(line, (char)c);
	if (!buf_ok(line))
		postmap_die(p, "a line of standard input has more than %d bytes",
			    TABLE_PATTERN_MAX);
	return c != EOF || line->len > 0;
}

int
query_input(const struct postmap *p, char **arguments, int n_tables)
{
	struct table **tables =
		arena_alloc_array(p->mem, (size_t)n_tables, sizeof(*tables));
	struct arena *mem = arena_new();
	struct buf *line = buf_new(p->mem, TABLE_PATTERN_MAX);
	int status = 1;

	for (int i = 0; i < n_tables; i++)
		tables[i] = open_table(p, arguments[i]);
	while (read_line(p, line)) {
		struct str value;

		if (find(p, mem, buf_str(line), arguments, tables, n_tables, &value)) {
			put_entry(p, buf_str(line), value);
			status = 0;
		}
		arena_reset(mem);
	}
	arena_free(&mem);
	return finish(p, status);
}

struct dump {
	const struct postmap *p;
	const struct table *table;
};

static bool
dump_entry(struct str key, struct str value, void *arg)
{
	const struct dump *d = arg;

	if (value.len == 0)
		warn_empty(d->p, d->table, key);
	if (d->p->aliases && key.len == 0)
		postmap_warn(d->p, "table %s: empty lookup key value is not allowed",
			     table_name(d->table));
	put_entry(d->p, key, value);
	return true;
}

int
query_dump(const struct postmap *p, const char *argument)
{
	struct table *t = open_table(p, argument);
	struct dump dump = {.p = p, .table = t};
	struct err err;

	if (!table_walk(t, dump_entry, &dump, &err)) {
		fflush(stdout);
		postmap_die(p, "%s", err.text);
	}
	return finish(p, 0);
}
