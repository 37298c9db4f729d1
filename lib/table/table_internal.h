/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the types of tables share: the object, its functions, files that change. For this
 * folder only.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "table/library.h"
#include "table/table.h"

struct build_ops;

/* A type. Keys come folded and checked; the caller puts the table's name before texts of
 * errors of lookup and walk, errors of open are complete. */
struct table_type {
	const char *name;
	bool is_pattern;
	bool is_remote; /* needs a server: asked through table_host.ask where that is set */
	const struct library *library; /* what it needs, loaded before open(); or NULL */
	const struct build_ops
		*build; /* build_internal.h; NULL: postmap cannot make it */
	bool (*open)(struct table *t, struct str name, struct err *err);
	enum lookup (*lookup)(struct table *t, struct arena *mem, struct str key,
			      struct str *value_out, struct err *err);
	bool (*walk)(struct table *t, table_entry_fn fn, void *arg, struct err *err);
};

struct table {
	const struct table_type *type;
	struct arena *mem;
	const char *name; /* "type:name" */
	void *state;      /* the type's own */
	unsigned flags;
	unsigned depth;      /* 0: not inside another table */
	struct table *outer; /* that it is inside of, or NULL */
	bool is_pattern;
	bool is_outdated;
	bool is_open; /* past open(): warnings are not collected any more */
	const char **warnings;
	size_t n_warnings;
};

#define TYPE(name) extern const struct table_type table_type_##name;
#define KNOWN(name)
#include "table/types.def"
#undef TYPE
#undef KNOWN

/* Of a table that is asked through its host (host.h), which is its state. */
extern const struct table_type table_type_asked;

/* NULL if there is none of this name, or we do not have it. */
const struct table_type *table_type_find(struct str name);

/* Note something for the administrator; the texts beyond a few hundred are dropped. */
void table_warn(struct table *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* Open a table inside t (unionmap and its like); its warnings become those of t. */
bool table_open_inner(struct table *t, struct str spec, struct table **inner_out,
		      struct err *err) MUST_CHECK;

struct match;

/* A list of strings (match.h) that is a part of t: tables in it are inside t, what is
 * wrong with it is a warning of t. */
bool match_open_inside(struct table *t, const char *title, struct str text,
		       struct match **match_out, struct err *err) MUST_CHECK;

/* Which file it was that we read. */
struct file_id {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct file_id file_id_of(const struct stat *st);
bool file_id_same(struct file_id a, struct file_id b);

/* Is there a file of this name that is another one than *id? A name that cannot be looked
 * at (it is being replaced; a sandbox) is no change. */
bool file_id_changed(const char *path, const struct file_id *id);

/* A file of t was changed: may we read it again? False where TABLE_KEEP_OLD says to keep
 * what we have. */
bool table_may_reopen(struct table *t, const char *path);
