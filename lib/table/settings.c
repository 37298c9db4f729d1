/* SPDX-License-Identifier: Apache-2.0 */
#include "table/settings.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

#include "config/config.h"
#include "config/lines.h"
#include "config/value.h"

#include "table/host.h"

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

/* "sqlite:name": name_dbpath and so on in main.cf. */
static bool
load_from_main(struct table *t, struct str name, struct setting *rows, size_t n,
	       struct err *err)
{
	const struct table_host *host = table_host_get(t->mem);

	if (host == NULL || host->config == NULL)
		return err_set(
			err, ERR_CONFIG,
			"%s: settings in main.cf cannot be read here: name a file, "
			"with / or . at its beginning",
			t->name);
	for (size_t i = 0; i < n; i++) {
		struct str parameter =
			str_printf(t->mem, PRI_STR "_%s", STR_ARG(name), rows[i].name);

		if (config_is_set(host->config, parameter) &&
		    !config_get(t->mem, host->config, parameter, &rows[i].value, err))
			return false;
	}
	return true;
}

bool
table_settings_open(struct table *t, struct str name, struct setting *rows, size_t n,
		    struct err *err)
{
	if (name.p[0] == '/' || name.p[0] == '.')
		return table_settings_load(t, str_c(t->mem, name), rows, n, err);
	return load_from_main(t, name, rows, n, err);
}

static bool
bad(const struct table *t, const struct setting *row, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s: bad %s value: %s = " PRI_STR, t->name, what,
		       row->name, STR_ARG(row->value));
}

bool
setting_number(const struct table *t, const struct setting *row, int64_t min, int64_t max,
	       int64_t *out, struct err *err)
{
	return str_to_i64(row->value, min, max, out) || bad(t, row, "numerical", err);
}

bool
setting_seconds(const struct table *t, const struct setting *row, int64_t max,
		int64_t *out, struct err *err)
{
	int64_t value;

	if (!value_time(row->value, 's', &value) || value <= 0 || value > max)
		return bad(t, row, "time", err);
	*out = value;
	return true;
}

bool
setting_bool(const struct table *t, const struct setting *row, bool *out, struct err *err)
{
	return value_bool(row->value, out) || bad(t, row, "boolean", err);
}

const char *
setting_c(const struct table *t, const struct setting *row)
{
	return row->value.len > 0 ? str_c(t->mem, row->value) : NULL;
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
