/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables and files that the settings of main.cf name.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/sys.h"

#include "config/value.h"
#include "table/table.h"

#include "check_rows.h"
#include "finding.h"

enum { SPECS_MAX = 500, SPEC_DEPTH_MAX = 8 };

/* "type:name" in a parameter, without proxy: before it. */
struct spec {
	const struct config_setting *setting;
	struct str type;
	struct str name;
	struct str text; /* type:name */
};

typedef void (*spec_fn)(struct check *c, const struct spec *spec);

/* Parameters whose colons do not belong to tables. */
static bool
has_tables(const struct config_setting *s)
{
	static const char *const lists[] = {
		"mydestination", "mynetworks", "authorized_submit_users",
		"authorized_flush_users", "authorized_mailq_users"};
	struct str name = s->name;

	if (str_ends(name, STR("_maps")) || str_ends(name, STR("_domains")) ||
	    str_ends(name, STR("_database")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (str_eq(name, str_from(lists[i])))
			return true;
	}
	return false;
}

static bool
is_type_name(struct str type)
{
	for (size_t i = 0; i < type.len; i++) {
		if (!char_is_alnum(type.p[i]) && type.p[i] != '_')
			return false;
	}
	return type.len > 0;
}

static bool
parse_spec(const struct config_setting *s, struct str item, struct spec *out)
{
	struct str type, name, inner;
	const char *why;

	if (item.len > 0 && item.p[0] == '{' && list_unbrace(item, &inner, &why))
		item = inner;
	if (item.len > 0 && item.p[0] == '!')
		item = str_skip(item, 1);
	for (int depth = 0; depth < SPEC_DEPTH_MAX; depth++) {
		if (!str_split(item, ':', &type, &name) || !is_type_name(type))
			return false;
		if (!str_eq(type, STR("proxy"))) {
			*out = (struct spec){s, type, name, item};
			return true;
		}
		item = name;
	}
	return false;
}

/* A value is looked at where it is written: what $name brings in is in the setting of
 * that name. */
static void
each_spec(struct check *c, bool acted_only, spec_fn fn)
{
	for (size_t i = 0; i < config_setting_count(c->config); i++) {
		const struct config_setting *s = config_setting_at(c->config, i);
		struct str rest = s->value;
		struct str item;
		struct spec spec;

		if (!has_tables(s) ||
		    (acted_only && config_use(c->config, s->name) != CONFIG_USE_ACTED))
			continue;
		for (size_t n = 0; n < SPECS_MAX && list_next(&rest, &item); n++) {
			struct str expanded;
			struct err err;

			if (config_expand(c->mem, c->config, item, &expanded, &err) &&
			    (str_eq(expanded, item) || item.p[0] != '$') &&
			    parse_spec(s, expanded, &spec))
				fn(c, &spec);
		}
	}
}

/* ---- types ---- */

static struct str
supported_types(const struct check *c)
{
	struct str out = STR_EMPTY;

	for (const char *const *t = table_types(); *t != NULL; t++)
		out = str_printf(c->mem, PRI_STR "%s%s", STR_ARG(out),
				 out.len > 0 ? ", " : "", *t);
	return out;
}

static void
look_at_type(struct check *c, const struct spec *spec)
{
	enum table_support support = table_type_support(spec->type);

	if (support == TABLE_SUPPORTED)
		return;
	finding_add(c, place_setting(c, spec->setting),
		    str_printf(c->mem,
			       support == TABLE_KNOWN
				       ? "Tables of type " PRI_STR
					 " are not supported yet: mail that needs this "
					 "one waits."
				       : "There is no type of table named " PRI_STR
					 ": mail that needs this one waits.",
			       STR_ARG(spec->type)),
		    str_printf(c->mem, "The types are " PRI_STR ".",
			       STR_ARG(supported_types(c))));
}

void
check_table_type(struct check *c)
{
	each_spec(c, true, look_at_type);
}

/* ---- indexed tables ---- */

static bool
is_indexed(const struct spec *spec)
{
	return table_type_suffix(spec->type) != NULL;
}

static const char *
index_path(const struct check *c, const struct spec *spec)
{
	const char *suffix = table_type_suffix(spec->type);

	return str_printf(c->mem, PRI_STR "%s", STR_ARG(spec->name),
			  suffix != NULL ? suffix : "")
		.p;
}

static struct str
build_command(const struct check *c, const struct spec *spec)
{
	bool alias = str_starts(spec->setting->name, STR("alias_"));

	return str_printf(c->mem, "Run: %s " PRI_STR, alias ? "postalias" : "postmap",
			  STR_ARG(spec->text));
}

static void
look_if_missing(struct check *c, const struct spec *spec)
{
	const char *path = index_path(c, spec);
	struct stat st;

	if (!is_indexed(spec) || sys_fstatat(AT_FDCWD, path, &st, 0) == 0 ||
	    errno != ENOENT)
		return;
	finding_add(c, place_setting(c, spec->setting),
		    str_printf(c->mem, "There is no %s: mail that needs the table waits.",
			       path),
		    build_command(c, spec));
}

void
check_table_missing(struct check *c)
{
	each_spec(c, true, look_if_missing);
}

static bool
is_older(const struct stat *a, const struct stat *b)
{
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
	return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

static void
look_if_stale(struct check *c, const struct spec *spec)
{
	const char *path = index_path(c, spec);
	struct stat text, indexed;

	if (!is_indexed(spec) || sys_fstatat(AT_FDCWD, path, &indexed, 0) != 0 ||
	    sys_fstatat(AT_FDCWD, str_c(c->mem, spec->name), &text, 0) != 0 ||
	    !is_older(&indexed, &text))
		return;
	finding_add(c, place_setting(c, spec->setting),
		    str_printf(c->mem,
			       PRI_STR " was changed after %s was made from it: the "
				       "changes have no effect.",
			       STR_ARG(spec->name), path),
		    build_command(c, spec));
}

void
check_table_stale(struct check *c)
{
	each_spec(c, true, look_if_stale);
}

/* ---- contents ---- */

static void
look_if_unreadable(struct check *c, const struct spec *spec)
{
	struct table *table;
	struct stat st;
	struct err err;

	if (table_type_support(spec->type) != TABLE_SUPPORTED ||
	    table_open(c->mem, spec->text, TABLE_DEFAULT, &table, &err))
		return;
	if (is_indexed(spec) && sys_fstatat(AT_FDCWD, index_path(c, spec), &st, 0) != 0 &&
	    errno == ENOENT)
		return; /* missing: reported as that */
	finding_add(c, place_setting(c, spec->setting),
		    str_printf(c->mem, "%s. Mail that needs the table waits.", err.text),
		    STR_EMPTY);
}

void
check_table_unreadable(struct check *c)
{
	each_spec(c, true, look_if_unreadable);
}

static void
look_at_content(struct check *c, const struct spec *spec)
{
	const char *const *texts;
	struct table *table;
	struct err err;
	size_t n;

	if (table_type_support(spec->type) != TABLE_SUPPORTED ||
	    !table_open(c->mem, spec->text, TABLE_DEFAULT, &table, &err))
		return;
	n = table_warnings(table, &texts);
	for (size_t i = 0; i < n; i++) {
		struct str text = str_from(texts[i]);
		struct place place = place_from_text(c, &text);

		if (place.file == NULL)
			place = place_setting(c, spec->setting);
		finding_add(c, place, str_printf(c->mem, PRI_STR ".", STR_ARG(text)),
			    STR_EMPTY);
	}
}

void
check_table_content(struct check *c)
{
	each_spec(c, true, look_at_content);
}

/* ---- secrets ---- */

static void
look_at_secret(struct check *c, const struct spec *spec)
{
	const char *const paths[] = {str_c(c->mem, spec->name), index_path(c, spec)};

	if (str_find(spec->setting->name, STR("password")) == spec->setting->name.len ||
	    spec->name.len == 0 || spec->name.p[0] != '/')
		return;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct stat st;

		/* A type without an index has one file. */
		if ((i > 0 && strcmp(paths[i], paths[0]) == 0) ||
		    sys_fstatat(AT_FDCWD, paths[i], &st, 0) != 0 ||
		    !S_ISREG(st.st_mode) || (st.st_mode & 0004) == 0)
			continue;
		finding_add(c, place_setting(c, spec->setting),
			    str_printf(c->mem,
				       "Every user of this machine can read the "
				       "passwords in %s.",
				       paths[i]),
			    str_printf(c->mem, "Run: chmod 0600 %s", paths[i]));
	}
}

void
check_table_secret(struct check *c)
{
	each_spec(c, false, look_at_secret);
}

/* ---- files in lists ---- */

static void
look_at_list_file(struct check *c, const struct config_setting *s, struct str item)
{
	const char *path;
	int fd;

	if (item.len > 0 && item.p[0] == '!')
		item = str_skip(item, 1);
	if (item.len == 0 || item.p[0] != '/')
		return;
	path = str_c(c->mem, item);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (fd >= 0) {
		sys_close(fd);
		return;
	}
	finding_add(c, place_setting(c, s),
		    str_printf(c->mem,
			       "The list continues in %s, which cannot be opened: %s. "
			       "Mail whose domain comes behind it in the list waits.",
			       path, strerror(errno)),
		    STR_EMPTY);
}

void
check_list_file(struct check *c)
{
	for (size_t i = 0; i < config_setting_count(c->config); i++) {
		const struct config_setting *s = config_setting_at(c->config, i);
		struct str rest, item;
		struct err err;

		if (!has_tables(s) || str_ends(s->name, STR("_maps")) ||
		    config_use(c->config, s->name) != CONFIG_USE_ACTED ||
		    !config_get(c->mem, c->config, s->name, &rest, &err))
			continue;
		for (size_t n = 0; n < SPECS_MAX && list_next(&rest, &item); n++)
			look_at_list_file(c, s, item);
	}
}
