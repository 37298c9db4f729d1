/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Making and changing hash: and btree: files (NAME.db, Berkeley DB 5.3), readable by
 * Postfix and back.
 *
 * A new file is made under a temporary name beside the old one, written to disk and
 * renamed, so readers see the old or the new table, never a part, and a crash leaves the
 * old one. Mode and owner of an existing file are kept. Changes of a few keys (postmap -i
 * and -d) are made in place under an exclusive lock, as Postfix makes them; so is a whole
 * file when its directory may not be written, but the file may.
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

struct build_options {
	enum build_duplicate duplicate;
	bool without_nul; /* keys and values without a NUL at the end (postmap -n) */
	bool in_place;    /* add to the existing file instead of making a new one */
	mode_t mode;      /* of a new file */
	uid_t owner;      /* of a new file; (uid_t)-1: who runs this */
	gid_t group;      /* likewise */
};

/* type: "hash" or "btree"; path without ".db". Give up by letting the arena end: the
 * temporary file is removed. */
bool build_open(struct arena *mem, struct str type, const char *path,
		const struct build_options *options, struct build **build_out,
		struct err *err) MUST_CHECK;

enum build_added { BUILD_ADDED, BUILD_DUPLICATE, BUILD_FAILED };

/* key and value as they are stored: fold before. */
enum build_added build_add(struct build *b, struct str key, struct str value,
			   struct err *err) MUST_CHECK;

/* Make the new table the table. */
bool build_commit(struct build *b, struct err *err) MUST_CHECK;

/* Delete keys in place, one by one between open and close. */
enum build_deleted { BUILD_DELETED, BUILD_NOT_THERE, BUILD_DELETE_FAILED };
enum build_deleted build_delete(struct build *b, struct str key,
				struct err *err) MUST_CHECK;
