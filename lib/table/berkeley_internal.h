/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What reading (berkeley.c) and building (build.c) of hash: and btree: files share.
 */

#include <db.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "table/library.h"

enum {
	/* How long another program's lock is waited for. */
	BERKELEY_LOCK_MS = 10000,
};

extern const struct library berkeley_library;

/* A handle that writes nothing to standard error. Close with berkeley_close(). */
bool berkeley_new(DB **db_out, struct err *err) MUST_CHECK;
void berkeley_close(DB **db);

/* What the library said last about this handle, or the error's own text. */
const char *berkeley_text(const DB *db, int rc);

/* The type's number, DB_HASH or DB_BTREE. */
DBTYPE berkeley_type(struct str type);

/* flock(2) that gives up after BERKELEY_LOCK_MS. */
bool berkeley_lock(int fd, int operation, const char *path, struct err *err) MUST_CHECK;

/* A key or value as the library wants it; with the NUL behind it, which s must have. */
DBT berkeley_datum(struct str s, bool with_nul);
struct str berkeley_str(const DBT *d);
