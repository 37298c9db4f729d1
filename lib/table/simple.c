/* SPDX-License-Identifier: Apache-2.0 */
/*
 * static: one value for every key. fail: no answer for any key. environ: the process's
 * environment. unix: the system's user and group data, as lines of their files.
 * proxy: a table by another name.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#include "config/value.h"

#include "table/table_internal.h"

static bool
static_open(struct table *t, struct str name, struct err *err)
{
	struct str *value = ARENA_NEW(t->mem, struct str);
	const char *why;

	*value = name;
	t->state = value;
	if (name.p[0] == '{' && !list_unbrace(name, value, &why))
		return err_set(err, ERR_CONFIG,
			       "bad static:name syntax: %s in \"" PRI_STR "\"", why,
			       STR_ARG(name));
	return true;
}

static enum lookup
static_lookup(struct table *t, struct arena *mem, struct str key UNUSED,
	      struct str *value_out, struct err *err UNUSED)
{
	*value_out = str_dup(mem, *(const struct str *)t->state);
	return LOOKUP_FOUND;
}

const struct table_type table_type_static = {
	.name = "static",
	.open = static_open,
	.lookup = static_lookup,
};

static bool
any_open(struct table *t UNUSED, struct str name UNUSED, struct err *err UNUSED)
{
	return true;
}

static enum lookup
fail_lookup(struct table *t UNUSED, struct arena *mem UNUSED, struct str key UNUSED,
	    struct str *value_out UNUSED, struct err *err)
{
	err_set(err, ERR_TEMP, "a fail: table never answers");
	return LOOKUP_FAILED;
}

const struct table_type table_type_fail = {
	.name = "fail",
	.open = any_open,
	.lookup = fail_lookup,
};

static enum lookup
environ_lookup(struct table *t UNUSED, struct arena *mem, struct str key,
	       struct str *value_out, struct err *err UNUSED)
{
	const char *value = getenv(key.p);

	if (value == NULL)
		return LOOKUP_ABSENT;
	*value_out = str_dup(mem, str_from(value));
	return LOOKUP_FOUND;
}

const struct table_type table_type_environ = {
	.name = "environ",
	.open = any_open,
	.lookup = environ_lookup,
};

enum { UNIX_ENTRY_MAX = 1 << 20 };

/* getpwnam_r() and its like want a buffer of the right size, which only they know. */
static enum lookup
passwd_lookup(struct arena *mem, const char *key, struct str *value_out, struct err *err)
{
	size_t size = 1024;
	struct passwd entry, *found = NULL;
	int rc;

	do {
		rc = getpwnam_r(key, &entry, arena_alloc(mem, size), size, &found);
		size *= 4;
	} while (rc == ERANGE && size <= UNIX_ENTRY_MAX);
	if (rc != 0 && found == NULL) {
		errno = rc;
		err_errno(err, ERR_TEMP, "user data of \"%s\"", key);
		return LOOKUP_FAILED;
	}
	if (found == NULL)
		return LOOKUP_ABSENT;
	*value_out = str_printf(mem, "%s:%s:%ld:%ld:%s:%s:%s", entry.pw_name,
				entry.pw_passwd, (long)entry.pw_uid, (long)entry.pw_gid,
				entry.pw_gecos, entry.pw_dir, entry.pw_shell);
	return LOOKUP_FOUND;
}

static enum lookup
group_lookup(struct arena *mem, const char *key, struct str *value_out, struct err *err)
{
	size_t size = 1024;
	struct group entry, *found = NULL;
	struct buf *line;
	int rc;

	do {
		rc = getgrnam_r(key, &entry, arena_alloc(mem, size), size, &found);
		size *= 4;
	} while (rc == ERANGE && size <= UNIX_ENTRY_MAX);
	if (rc != 0 && found == NULL) {
		errno = rc;
		err_errno(err, ERR_TEMP, "group data of \"%s\"", key);
		return LOOKUP_FAILED;
	}
	if (found == NULL)
		return LOOKUP_ABSENT;
	line = buf_new(mem, UNIX_ENTRY_MAX);
	buf_printf(line, "%s:%s:%ld:", entry.gr_name, entry.gr_passwd,
		   (long)entry.gr_gid);
	for (char **member = entry.gr_mem; *member != NULL; member++)
		buf_printf(line, "%s%s", member != entry.gr_mem ? "," : "", *member);
	*value_out = buf_str(line);
	return LOOKUP_FOUND;
}

typedef enum lookup (*unix_fn)(struct arena *mem, const char *key, struct str *value_out,
			       struct err *err);

static const struct unix_row {
	const char *name;
	unix_fn lookup;
} unix_rows[] = {
	{"passwd.byname", passwd_lookup},
	{"group.byname", group_lookup},
};

static bool
unix_open(struct table *t, struct str name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(unix_rows); i++)
		if (str_eq(name, str_from(unix_rows[i].name))) {
			struct unix_row *row = ARENA_NEW(t->mem, struct unix_row);

			*row = unix_rows[i];
			t->state = row;
			return true;
		}
	return err_set(err, ERR_CONFIG, "unknown table: %s", t->name);
}

static enum lookup
unix_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	    struct err *err)
{
	const struct unix_row *row = t->state;

	return row->lookup(mem, key.p, value_out, err);
}

const struct table_type table_type_unix = {
	.name = "unix",
	.open = unix_open,
	.lookup = unix_lookup,
};

static bool
proxy_open(struct table *t, struct str name, struct err *err)
{
	struct table *inner;

	if (!table_open_inner(t, name, &inner, err))
		return false;
	t->state = inner;
	t->is_pattern = inner->is_pattern;
	return true;
}

static enum lookup
proxy_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	return table_lookup(t->state, mem, key, value_out, err);
}

const struct table_type table_type_proxy = {
	.name = "proxy",
	.open = proxy_open,
	.lookup = proxy_lookup,
};
