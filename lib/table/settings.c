/* SPDX-License-Identifier: Apache-2.0 */
#include "table/settings.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

#include "config/lines.h"

static struct setting *
find(struct setting *rows, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name, str_from(rows[i].name)))
			return &rows[i];
	return NULL;
}

static void
take_line(struct table *t, const char *path, const struct lines_item *item,
	  struct setting *rows, size_t n)
{
	struct setting *row;
	struct str name, value;

	if (item->kind == LINES_SKIPPED)
		return;
	if (item->kind == LINES_STRAY || !str_split(item->text, '=', &name, &value)) {
		table_warn(t, "%s, line %u: no \"name = value\": ignored", path,
			   item->first);
		return;
	}
	name = str_trim(name);
	row = find(rows, n, name);
	if (row == NULL)
		table_warn(t, "%s, line %u: unused parameter: " PRI_STR, path,
			   item->first, STR_ARG(name));
	else
		row->value = str_dup(t->mem, str_trim(value));
}

bool
table_settings_load(struct table *t, const char *path, struct setting *rows, size_t n,
		    struct err *err)
{
	struct arena *mem = arena_new();
	struct lines_item item;
	struct lines lines;
	struct str text;

	if (!io_read_file(mem, AT_FDCWD, path, SETTINGS_FILE_MAX, &text, err)) {
		arena_free(&mem);
		err->kind = ERR_CONFIG;
		return false;
	}
	lines = lines_start(text);
	while (lines_next(mem, &lines, &item))
		take_line(t, path, &item, rows, n);
	arena_free(&mem);
	return true;
}

struct str
table_settings_peek(struct arena *mem, const char *path, struct str name)
{
	struct arena *file = arena_new();
	struct str found = STR_EMPTY;
	struct str text, key, value;
	struct lines_item item;
	struct lines lines;
	struct err err;

	if (io_read_file(file, AT_FDCWD, path, SETTINGS_FILE_MAX, &text, &err)) {
		lines = lines_start(text);
		while (lines_next(file, &lines, &item))
			if (item.kind == LINES_TEXT &&
			    str_split(item.text, '=', &key, &value) &&
			    str_eq(str_trim(key), name))
				found = str_trim(value);
	}
	found = str_dup(mem, found);
	arena_free(&file);
	return found;
}
