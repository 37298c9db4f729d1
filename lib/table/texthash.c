/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texthash: a postmap(1) source file in memory. inline: the same in the table's name.
 */
#include "base/map.h"

#include "config/value.h"

#include "table/fold.h"
#include "table/text_internal.h"

static struct str
folded(struct table *t, struct arena *mem, struct str key)
{
	if ((t->flags & TABLE_FOLD) == 0)
		return key;
	return fold_key(mem, key, (t->flags & TABLE_UTF8) != 0);
}

static struct str *
value_new(struct arena *mem, struct str value)
{
	struct str *copy = ARENA_NEW(mem, struct str);

	*copy = str_dup(mem, value);
	return copy;
}

static bool
load(struct table *t, struct arena *mem, struct text_rules *rules, void **data_out,
     struct err *err UNUSED)
{
	struct map *map = map_new_in(mem);
	struct source_line line;

	while (text_rules_next(rules, &line)) {
		struct source_entry entry;
		enum source_kind kind =
			source_parse(&line, (t->flags & TABLE_UTF8) != 0, &entry);
		struct str key;

		if (kind != SOURCE_ENTRY)
			table_warn(t, "%s%s",
				   source_complaint(mem, kind, text_where(t), &line),
				   kind == SOURCE_NO_VALUE ? " -- ignoring this line"
							   : "");
		if (kind != SOURCE_ENTRY && kind != SOURCE_ENTRY_COLON)
			continue;
		key = folded(t, mem, entry.key);
		if (map_find(map, key) == NULL)
			map_set(map, key, value_new(mem, entry.value));
		else
			table_warn(t, "%s, line %d: duplicate entry: \"" PRI_STR "\"",
				   text_where(t), line.first, STR_ARG(key));
	}
	*data_out = map;
	return true;
}

static bool
texthash_open(struct table *t, struct str name, struct err *err)
{
	return text_open(t, name, false, load, err);
}

static enum lookup
map_lookup(const struct map *map, struct arena *mem, struct str key,
	   struct str *value_out)
{
	const struct str *value = map_find(map, key);

	if (value == NULL)
		return LOOKUP_ABSENT;
	*value_out = str_dup(mem, *value);
	return LOOKUP_FOUND;
}

static enum lookup
texthash_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
		struct err *err)
{
	void *map;

	if (!text_current(t, &map, err))
		return LOOKUP_FAILED;
	return map_lookup(map, mem, key, value_out);
}

static void
map_walk(const struct map *map, table_entry_fn fn, void *arg)
{
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(map, &at)) != NULL)
		if (!fn(e->key, *(const struct str *)e->value, arg))
			return;
}

static bool
texthash_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err)
{
	void *map;

	if (!text_current(t, &map, err))
		return false;
	map_walk(map, fn, arg);
	return true;
}

const struct table_type table_type_texthash = {
	.name = "texthash",
	.open = texthash_open,
	.lookup = texthash_lookup,
	.walk = texthash_walk,
};

static bool
inline_bad(struct table *t, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s: \"%s\"; need \"inline:{name=value...}\"",
		       what, t->name);
}

/* One "name=value" or "{ name = value }". */
static bool
inline_add(struct table *t, struct map *map, struct str item, struct err *err)
{
	struct str inner = item;
	struct str key, value;
	const char *why;

	if (item.p[0] == '{' && !list_unbrace(item, &inner, &why))
		return inline_bad(
			t,
			str_printf(t->mem, "%s in \"" PRI_STR "\"", why, STR_ARG(item)).p,
			err);
	if (!str_split(inner, '=', &key, &value))
		return inline_bad(t, "missing '=' after attribute name", err);
	key = str_trim(key);
	map_set(map, folded(t, t->mem, key), value_new(t->mem, str_trim(value)));
	return true;
}

static bool
inline_open(struct table *t, struct str name, struct err *err)
{
	struct map *map = map_new_in(t->mem);
	struct str rest, item;
	const char *why;

	t->state = map;
	if (name.len == 2 || !list_unbrace(name, &rest, &why))
		return inline_bad(t, "bad syntax", err);
	while (list_next(&rest, &item))
		if (!inline_add(t, map, item, err))
			return false;
	if (map_count(map) == 0)
		return inline_bad(t, "empty table", err);
	return true;
}

static enum lookup
inline_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	      struct err *err UNUSED)
{
	return map_lookup(t->state, mem, key, value_out);
}

static bool
inline_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err UNUSED)
{
	map_walk(t->state, fn, arg);
	return true;
}

const struct table_type table_type_inline = {
	.name = "inline",
	.open = inline_open,
	.lookup = inline_lookup,
	.walk = inline_walk,
};
