/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading main.cf and answering by name. Values by type and derived names are in typed.c,
 * what to warn about in use.c.
 */
#include "config/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "config/config_internal.h"
#include "config/expand.h"
#include "config/lines.h"
#include "config/param.h"
#include "config/value.h"

enum { FILE_BYTES_MAX = 1048576, SETTINGS_MAX = 20000, WARNINGS_MAX = 1000 };

static void
warn(struct config *cfg, struct str text)
{
	if (cfg->warning_count == WARNINGS_MAX)
		return;
	cfg->warnings[cfg->warning_count++] = text;
}

static bool
set(struct config *cfg, struct str name, struct str value, struct config_origin origin,
    struct err *err)
{
	struct config_setting *new, *old = map_find(cfg->settings, name);

	if (map_count(cfg->settings) >= SETTINGS_MAX)
		return err_set(err, ERR_CONFIG, "%s: more than %d settings", cfg->file,
			       SETTINGS_MAX);
	if (old != NULL && origin.where == CONFIG_FROM_FILE && !str_eq(old->value, value))
		warn(cfg, str_printf(cfg->mem,
				     "%s, line %u: overriding earlier entry: " PRI_STR
				     "=" PRI_STR,
				     cfg->file, origin.line, STR_ARG(name),
				     STR_ARG(old->value)));
	new = ARENA_NEW(cfg->mem, struct config_setting);
	*new = (struct config_setting){name, value, origin};
	map_set(cfg->settings, name, new);
	return true;
}

/* A logical line "name = value". */
static bool
set_line(struct config *cfg, const struct lines_item *line, struct err *err)
{
	struct str text = line->text, name, rest;
	size_t len = str_index_any(text, "= \t\r\n\v\f");

	name = str_head(text, len);
	rest = str_trim_left(str_skip(text, len));
	if (name.len == 0)
		return err_set(err, ERR_CONFIG,
			       "%s, line %u: missing attribute name: \"" PRI_STR "\"",
			       cfg->file, line->first, STR_ARG(text));
	if (rest.len == 0 || *rest.p != '=')
		return err_set(err, ERR_CONFIG,
			       "%s, line %u: missing '=' after attribute name: "
			       "\"" PRI_STR "\"",
			       cfg->file, line->first, STR_ARG(text));
	return set(cfg, name, str_trim(str_skip(rest, 1)),
		   (struct config_origin){CONFIG_FROM_FILE, cfg->file, line->first}, err);
}

static bool
read_file(struct config *cfg, struct err *err)
{
	struct str text;
	struct lines at;
	struct lines_item line;

	if (!io_read_file(cfg->mem, AT_FDCWD, cfg->file, FILE_BYTES_MAX, &text, err)) {
		err->kind = ERR_CONFIG;
		return false;
	}
	at = lines_start(text);
	while (lines_next(cfg->mem, &at, &line)) {
		switch (line.kind) {
		case LINES_SKIPPED:
			break;
		case LINES_STRAY:
			warn(cfg, str_printf(cfg->mem,
					     "%s: logical line must not start with "
					     "whitespace: \"" PRI_STR "\"",
					     cfg->file, STR_ARG(line.text)));
			break;
		case LINES_TEXT:
			if (str_contains(line.text, '\0'))
				warn(cfg,
				     str_printf(cfg->mem, "%s, line %u: NUL byte in text",
						cfg->file, line.first));
			if (!set_line(cfg, &line, err))
				return false;
			break;
		}
	}
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	const struct config_setting *const *x = a, *const *y = b;

	return str_cmp((*x)->name, (*y)->name);
}

static void
sort_settings(struct config *cfg)
{
	const struct map_entry *e;
	size_t at = 0;

	cfg->sorted = arena_alloc_array(cfg->mem, map_count(cfg->settings) + 1,
					sizeof(struct config_setting *));
	while ((e = map_next(cfg->settings, &at)) != NULL)
		cfg->sorted[cfg->count++] = e->value;
	qsort(cfg->sorted, cfg->count, sizeof(struct config_setting *), compare_names);
}

static const char *
choose_dir(const char *dir)
{
	if (dir == NULL)
		dir = getenv("MAIL_CONFIG");
	return dir == NULL ? HIKYAKU_CONFIG_DIR : dir;
}

static struct config *
config_new(struct arena *mem, const struct config_options *options)
{
	struct config *cfg = ARENA_NEW(mem, struct config);
	char host[256] = "";

	cfg->mem = mem;
	cfg->dir = arena_strdup(mem, choose_dir(options->dir));
	cfg->file = str_printf(mem, "%s/main.cf", cfg->dir).p;
	cfg->process_name = str_dup(mem, str_from(options->process_name));
	cfg->service_name = str_dup(mem, str_from(options->service_name));
	cfg->stress = options->stress ? STR("yes") : STR_EMPTY;
	cfg->settings = map_new_in(mem);
	cfg->computed = ARENA_NEW(mem, struct config_computed);
	cfg->warnings = arena_alloc_array(mem, WARNINGS_MAX, sizeof(struct str));
	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		strcpy(host, "localhost");
	cfg->hostname = str_from(arena_strdup(mem, host));
	return cfg;
}

static bool
lists(struct arena *mem, const struct config *cfg, const char *list_name, const char *dir)
{
	struct str list, item;
	struct err err;

	if (!config_get(mem, cfg, str_from(list_name), &list, &err))
		return false;
	while (list_next(&list, &item)) {
		if (str_eq(item, str_from(dir)))
			return true;
	}
	return false;
}

bool
config_dir_authorized(struct arena *mem, const char *dir, const char *default_dir,
		      struct err *err)
{
	const struct config_options options = {.dir = default_dir};
	struct config *cfg;

	if (strcmp(dir, default_dir) == 0)
		return true;
	if (!config_load(mem, &options, &cfg, err))
		return false;
	return lists(mem, cfg, "alternate_config_directories", dir) ||
	       lists(mem, cfg, "multi_instance_directories", dir) ||
	       err_set(err, ERR_CONFIG, "unauthorized configuration directory name: %s",
		       dir);
}

/* A program with rights that its user lacks must not be told by the user what its
 * configuration is. */
static bool
may_use_dir(struct arena *mem, const char *dir, struct err *err)
{
	if (getauxval(AT_SECURE) == 0 || getuid() == 0 ||
	    strcmp(dir, HIKYAKU_CONFIG_DIR) == 0)
		return true;
	return config_dir_authorized(mem, dir, HIKYAKU_CONFIG_DIR, err);
}

bool
config_load(struct arena *mem, const struct config_options *options, struct config **out,
	    struct err *err)
{
	struct config *cfg = config_new(mem, options);
	const struct config_origin override = {.where = CONFIG_FROM_OVERRIDE};

	if (!options->defaults_only) {
		if (!may_use_dir(mem, cfg->dir, err))
			return false;
		if (!read_file(cfg, err))
			return false;
		/* Where the files were found decides, whatever main.cf says. */
		if (strcmp(cfg->dir, HIKYAKU_CONFIG_DIR) != 0 &&
		    !set(cfg, STR("config_directory"), str_from(cfg->dir), override, err))
			return false;
	}
	for (size_t i = 0; i < options->override_count; i++) {
		const struct config_override *o = &options->overrides[i];

		if (!set(cfg, str_dup(mem, o->name), str_dup(mem, o->value), override,
			 err))
			return false;
	}
	sort_settings(cfg);
	*out = cfg;
	return true;
}

static const struct config_setting *
setting_find(const struct config *cfg, struct str name)
{
	return map_find(cfg->settings, name);
}

static enum expand_found
lookup(void *closure, struct str name, struct str *out)
{
	const struct config *cfg = closure;
	const struct config_setting *setting = setting_find(cfg, name);
	const struct param *row;

	if (setting != NULL) {
		*out = setting->value;
		return EXPAND_RECURSE;
	}
	if (config_computed_default(cfg, name, out))
		return EXPAND_LITERAL;
	row = param_find(name);
	if (row != NULL) {
		*out = param_default(row);
		return EXPAND_RECURSE;
	}
	*out = config_transport_default(name);
	return out->len == 0 ? EXPAND_UNKNOWN : EXPAND_RECURSE;
}

bool
config_expand(struct arena *mem, const struct config *cfg, struct str text,
	      struct str *out, struct err *err)
{
	struct buf b;
	union {
		const struct config *from;
		void *to;
	} closure = {cfg};
	bool ok;

	if (!str_contains(text, '$')) {
		*out = text;
		return true;
	}
	buf_init(&b, EXPAND_BYTES_MAX);
	ok = expand_text(text, lookup, closure.to, &b, err);
	if (ok)
		*out = str_dup(mem, buf_str(&b));
	buf_release(&b);
	return ok;
}

bool
config_get(struct arena *mem, const struct config *cfg, struct str name, struct str *out,
	   struct err *err)
{
	struct str computed;

	/* A host's name is text, not an expression. */
	if (!config_is_set(cfg, name) && config_computed_default(cfg, name, &computed)) {
		*out = computed;
		return true;
	}
	return config_expand(mem, cfg, config_get_raw(cfg, name), out, err);
}

struct str
config_default(const struct config *cfg, struct str name)
{
	struct str out;
	const struct param *row;

	if (config_computed_default(cfg, name, &out))
		return out;
	row = param_find(name);
	return row != NULL ? param_default(row) : config_transport_default(name);
}

struct str
config_get_raw(const struct config *cfg, struct str name)
{
	const struct config_setting *setting = setting_find(cfg, name);

	return setting != NULL ? setting->value : config_default(cfg, name);
}

bool
config_is_set(const struct config *cfg, struct str name)
{
	return setting_find(cfg, name) != NULL;
}

struct config_origin
config_origin(const struct config *cfg, struct str name)
{
	const struct config_setting *setting = setting_find(cfg, name);
	struct str out;

	if (setting != NULL)
		return setting->origin;
	if (param_find(name) != NULL || config_computed_default(cfg, name, &out) ||
	    config_transport_default(name).len > 0)
		return (struct config_origin){.where = CONFIG_FROM_DEFAULT};
	return (struct config_origin){.where = CONFIG_FROM_NOWHERE};
}

struct str
config_origin_text(struct arena *mem, struct config_origin origin)
{
	const char *slash;

	switch (origin.where) {
	case CONFIG_FROM_DEFAULT:
		return STR("default");
	case CONFIG_FROM_FILE:
		slash = strrchr(origin.file, '/');
		return str_printf(mem, "%s line %u",
				  slash == NULL ? origin.file : slash + 1, origin.line);
	case CONFIG_FROM_OVERRIDE:
		return STR("-o");
	case CONFIG_FROM_NOWHERE:
		return STR("not a parameter");
	}
	return STR_EMPTY;
}

const char *
config_dir(const struct config *cfg)
{
	return cfg->dir;
}

const char *
config_file(const struct config *cfg)
{
	return cfg->file;
}

size_t
config_setting_count(const struct config *cfg)
{
	return cfg->count;
}

const struct config_setting *
config_setting_at(const struct config *cfg, size_t i)
{
	return i < cfg->count ? cfg->sorted[i] : NULL;
}

size_t
config_warning_count(const struct config *cfg)
{
	return cfg->warning_count;
}

struct str
config_warning_at(const struct config *cfg, size_t i)
{
	return i < cfg->warning_count ? cfg->warnings[i] : STR_EMPTY;
}
