/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Making and changing the files of indexed tables, readable by Postfix and back: hash:
 * and btree: (NAME.db, Berkeley DB 5.3), lmdb: (NAME.lmdb) and cdb: (NAME.cdb).
 *
 * A new file is made under a temporary name beside the old one, written to disk and
 * renamed, so readers see the old or the new table, never a part, and a crash leaves the
 * old one. Mode and owner of an existing file are kept. Changes of a few keys (postmap -i
 * and -d) are made in place under an exclusive lock, as Postfix makes them; so is a whole
 * file when its directory may not be written, but the file may. A cdb: file cannot be
 * changed in place.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct build;

enum build_duplicate {
	BUILD_DUPLICATE_KEEP,    /* the first entry stays, build_add() tells */
	BUILD_DUPLICATE_REPLACE, /* the last entry wins */
};

/* A NUL at the end of keys and values, as C programs of old want it. */
enum build_nul {
	BUILD_NUL_DEFAULT, /* as Postfix's for the type: hash and btree with, others
			      without */
	BUILD_NUL_WITHOUT, /* postmap -n */
	BUILD_NUL_WITH,    /* postmap -N */
};

struct build_options {
	enum build_duplicate duplicate;
	enum build_nul nul;
	bool in_place; /* add to the existing file instead of making a new one */
	mode_t mode;   /* of a new file */
	uid_t owner;   /* of a new file; (uid_t)-1: who runs this */
	gid_t group;   /* likewise */
};

/* type: one with a table_type_suffix(); path without ".db" or what the type puts
 * behind it. Give up by letting the arena end: the temporary file is removed. */
bool build_open(struct arena *mem, struct str type, const char *path,
		const struct build_options *options, struct build **build_out,
		struct err *err) MUST_CHECK;

enum build_added { BUILD_ADDED, BUILD_DUPLICATE, BUILD_FAILED };

/* key and value as they are stored: fold before. */
enum build_added build_add(struct build *b, struct str key, struct str value,
			   struct err *err) MUST_CHECK;

/* The same, but whatever stands there under this key is replaced. */
bool build_replace(struct build *b, struct str key, struct str value,
		   struct err *err) MUST_CHECK;

/* Make the new table the table. */
bool build_commit(struct build *b, struct err *err) MUST_CHECK;

/* Delete keys in place, one by one between open and close. */
enum build_deleted { BUILD_DELETED, BUILD_NOT_THERE, BUILD_DELETE_FAILED };
enum build_deleted build_delete(struct build *b, struct str key,
				struct err *err) MUST_CHECK;

/* The table's file. */
const char *build_path(const struct build *b);
