/* SPDX-License-Identifier: Apache-2.0 */
#include "table/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

#include "table/build_internal.h"
#include "table/fold.h"
#include "table/host.h"
#include "table/table_internal.h"

enum { WARNINGS_MAX = 200 };

struct row {
	const char *name;
	const struct table_type *type; /* NULL: known, not supported */
};

static const struct row rows[] = {
#define TYPE(name)  {#name, &table_type_##name},
#define KNOWN(name) {#name, NULL},
#include "table/types.def"
#undef TYPE
#undef KNOWN
};

static const struct row *
row_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(str_from(rows[i].name), name))
			return &rows[i];
	return NULL;
}

enum table_support
table_type_support(struct str type)
{
	const struct row *row = row_find(type);

	if (row == NULL)
		return TABLE_UNKNOWN;
	return row->type != NULL ? TABLE_SUPPORTED : TABLE_KNOWN;
}

const struct table_type *
table_type_find(struct str name)
{
	const struct row *row = row_find(name);

	return row != NULL ? row->type : NULL;
}

const char *
table_type_suffix(struct str type)
{
	const struct table_type *found = table_type_find(type);

	return found != NULL && found->build != NULL ? found->build->suffix : NULL;
}

const char *const *
table_types(void)
{
	static const char *const names[] = {
#define TYPE(name) #name,
#define KNOWN(name)
#include "table/types.def"
#undef TYPE
#undef KNOWN
		NULL};

	return names;
}

void
table_load_libraries(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;

		/* What fails here is told when a table needs it. */
		if (rows[i].type != NULL && rows[i].type->library != NULL)
			IGNORE(library_load(rows[i].type->library, &err));
	}
}

static void
set_unsupported(struct str type, const struct row *row, struct err *err)
{
	struct buf names;

	if (row == NULL) {
		IGNORE(err_set(err, ERR_CONFIG, "unsupported dictionary type: " PRI_STR,
			       STR_ARG(type)));
		return;
	}
	buf_init(&names, ERR_TEXT_MAX);
	for (const char *const *name = table_types(); *name != NULL; name++)
		buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", *name);
	err_set(err, ERR_CONFIG,
		"unsupported dictionary type: " PRI_STR
		" (known, but not in this version; there are: %s)",
		STR_ARG(type), names.p);
	buf_release(&names);
}

static struct table *
table_new(struct arena *mem, const struct table_type *type, struct str spec,
	  unsigned flags, unsigned depth)
{
	struct table *t = ARENA_NEW(mem, struct table);

	t->type = type;
	t->mem = mem;
	t->name = str_c(mem, spec);
	t->flags = flags;
	t->depth = depth;
	t->is_pattern = type->is_pattern;
	return t;
}

/* Whether it is there is told when it is asked. */
static struct table *
asked(struct arena *mem, const struct table_type *type, struct str spec, unsigned flags,
      unsigned depth, const struct table_host *host)
{
	struct table *t = table_new(mem, &table_type_asked, spec, flags, depth);

	t->is_pattern = type->is_pattern;
	t->is_open = true;
	/* Only its functions are used. */
	t->state = arena_memdup(mem, host, sizeof(*host));
	return t;
}

bool
table_type_is_remote(struct str type)
{
	const struct table_type *found = table_type_find(type);

	return found != NULL && found->is_remote;
}

static bool
open_at_depth(struct arena *mem, struct str spec, unsigned flags, unsigned depth,
	      struct table **table_out, struct err *err)
{
	struct str type;
	struct str name;
	const struct table_host *host;
	const struct row *row;
	struct table *t;

	if (!str_split(spec, ':', &type, &name) || type.len == 0 || name.len == 0)
		return err_set(err, ERR_CONFIG,
			       "open dictionary: expecting \"type:name\" form instead of "
			       "\"" PRI_STR "\"",
			       STR_ARG(spec));
	row = row_find(type);
	if (row == NULL || row->type == NULL) {
		set_unsupported(type, row, err);
		return false;
	}
	if (depth >= TABLE_DEPTH_MAX)
		return err_set(err, ERR_CONFIG,
			       "more than %d tables inside each other: " PRI_STR,
			       TABLE_DEPTH_MAX, STR_ARG(spec));
	host = row->type->is_remote ? table_host_get(mem) : NULL;
	if (host != NULL && host->ask != NULL) {
		*table_out = asked(mem, row->type, spec, flags, depth, host);
		return true;
	}
	if (row->type->library != NULL && !library_load(row->type->library, err))
		return err_prefix(err, PRI_STR, STR_ARG(spec));
	t = table_new(mem, row->type, spec, flags, depth);
	if (!t->type->open(t, str_from(str_c(mem, name)), err))
		return false;
	t->is_open = true;
	*table_out = t;
	return true;
}

bool
table_open(struct arena *mem, struct str spec, unsigned flags, struct table **table_out,
	   struct err *err)
{
	return open_at_depth(mem, spec, flags, 0, table_out, err);
}

bool
table_open_inner(struct table *t, struct str spec, struct table **inner_out,
		 struct err *err)
{
	struct table *inner;

	if (!open_at_depth(t->mem, spec, t->flags, t->depth + 1, &inner, err))
		return false;
	inner->outer = t;
	for (size_t i = 0; i < inner->n_warnings; i++)
		table_warn(t, "%s", inner->warnings[i]);
	*inner_out = inner;
	return true;
}

static enum lookup
lookup_broken(struct table *t, struct arena *mem UNUSED, struct str key UNUSED,
	      struct str *value_out UNUSED, struct err *err)
{
	const struct err *why = t->state;

	err_set(err, why->kind, "%s", why->text);
	return LOOKUP_FAILED;
}

static const struct table_type type_broken = {.name = "broken", .lookup = lookup_broken};

struct table *
table_failing(struct arena *mem, struct str spec, const struct err *why)
{
	struct table *t = ARENA_NEW(mem, struct table);

	t->type = &type_broken;
	t->mem = mem;
	t->name = str_c(mem, spec);
	t->state = arena_memdup(mem, why, sizeof(*why));
	t->is_open = true;
	return t;
}

enum lookup
table_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	     struct err *err)
{
	struct str value;
	enum lookup result;

	if (key.len > (t->is_pattern ? TABLE_PATTERN_MAX : TABLE_KEY_MAX))
		return LOOKUP_ABSENT;
	if (str_contains(key, '\0'))
		return LOOKUP_ABSENT;
	if ((t->flags & TABLE_UTF8) != 0 && !str_is_utf8(key))
		return LOOKUP_ABSENT;
	if ((t->flags & TABLE_FOLD) != 0 && !t->is_pattern)
		key = fold_key(mem, key, (t->flags & TABLE_UTF8) != 0);
	else
		key = str_from(str_c(mem, key));
	result = t->type->lookup(t, mem, key, &value, err);
	if (result == LOOKUP_FOUND && (t->flags & TABLE_UTF8) != 0 &&
	    !str_is_utf8(value)) {
		err_set(err, ERR_CONFIG, "key \"" PRI_STR "\": the value is not UTF-8",
			STR_ARG(key));
		result = LOOKUP_FAILED;
	}
	if (result == LOOKUP_FAILED && t->depth == 0)
		err_prefix(err, "table %s: query error", t->name);
	if (result == LOOKUP_FOUND)
		*value_out = value;
	return result;
}

bool
table_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err)
{
	if (t->type->walk == NULL)
		return err_set(err, ERR_PERM,
			       "table %s: sequence operation is not supported", t->name);
	if (!t->type->walk(t, fn, arg, err))
		return err_prefix(err, "table %s: sequence error", t->name);
	return true;
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

bool
table_is_pattern(const struct table *t)
{
	return t->is_pattern;
}

size_t
table_warnings(const struct table *t, const char *const **texts_out)
{
	*texts_out = t->warnings;
	return t->n_warnings;
}

void
table_warn(struct table *t, const char *format, ...)
{
	va_list ap;

	if (t->is_open || t->n_warnings >= WARNINGS_MAX)
		return;
	if (t->warnings == NULL)
		t->warnings = arena_alloc_array(t->mem, WARNINGS_MAX, sizeof(char *));
	va_start(ap, format);
	t->warnings[t->n_warnings++] = str_vprintf(t->mem, format, ap).p;
	va_end(ap);
	if (t->n_warnings == WARNINGS_MAX - 1)
		t->warnings[t->n_warnings++] =
			str_printf(t->mem, "table %s: more complaints not shown", t->name)
				.p;
}

struct file_id
file_id_of(const struct stat *st)
{
	return (struct file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
	};
}

bool
file_id_same(struct file_id a, struct file_id b)
{
	return a.dev == b.dev && a.ino == b.ino && a.size == b.size &&
	       a.mtime.tv_sec == b.mtime.tv_sec && a.mtime.tv_nsec == b.mtime.tv_nsec;
}

bool
file_id_changed(const char *path, const struct file_id *id)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return false;
	return !file_id_same(file_id_of(&st), *id);
}

bool
table_may_reopen(struct table *t, const char *path)
{
	int fd;

	if ((t->flags & TABLE_KEEP_OLD) == 0)
		return true;
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		sys_close(fd);
		return true;
	}
	if (errno != EACCES && errno != EPERM)
		return true;
	for (; t != NULL; t = t->outer)
		t->is_outdated = true;
	return false;
}

bool
table_is_outdated(const struct table *t)
{
	return t->is_outdated;
}
