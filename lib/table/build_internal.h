/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a type does when its files are built; the temporary file, its attributes and its
 * way into place are build.c's. For this folder only.
 */

#include "table/build.h"
#include "table/table_internal.h"

enum build_mode {
	BUILD_NEW,    /* the file exists and is empty, and nobody else knows it */
	BUILD_CHANGE, /* the table itself: lock it, keep what is in it */
	BUILD_REWRITE /* the table itself: lock it, begin with nothing */
};

struct build {
	struct arena *mem;
	const struct table_type *type;
	struct build_options options;
	char *path;      /* of the table, with its suffix */
	char *temporary; /* NULL: in place */
	void *state;     /* the type's own; NULL: nothing is open */
};

struct build_ops {
	const char *suffix; /* ".db" */
	bool with_nul;      /* BUILD_NUL_DEFAULT */
	bool in_place;      /* BUILD_CHANGE and BUILD_REWRITE are possible */
	/* Sets b->state as soon as there is something for close(). Complaints name
	 * b->path, not the path that is opened. */
	bool (*open)(struct build *b, const char *path, enum build_mode mode,
		     struct err *err);
	/* key and value with their NUL, if they get one. */
	enum build_added (*put)(struct build *b, struct str key, struct str value,
				bool replace, struct err *err);
	/* NULL if not in_place. */
	enum build_deleted (*remove)(struct build *b, struct str key, struct err *err);
	/* Make it all part of the file. */
	bool (*finish)(struct build *b, struct err *err);
	/* What is not finished is lost. */
	void (*close)(struct build *b);
};

extern const struct build_ops berkeley_build;
extern const struct build_ops cdb_build;
extern const struct build_ops lmdb_build;
