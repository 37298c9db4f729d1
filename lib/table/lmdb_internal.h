/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What reading (lmdb.c) and building (lmdb_build.c) of lmdb: files share.
 *
 * The library's own lock file is not used: every reader would have to be able to write to
 * it. As in Postfix the file itself is locked, as a whole, by fcntl(2): shared while
 * something is read, exclusively for a change. So an environment is opened with
 * LMDB_FLAGS, and each transaction lies between lmdb_lock() and lmdb_unlock().
 *
 * The locks belong to the open file (F_OFD_SETLK), not to the process: closing another
 * table of the same file does not end them.
 */

#include <lmdb.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "table/library.h"

enum {
	LMDB_FLAGS = MDB_NOSUBDIR | MDB_NOLOCK,
	/* How long another program's lock is waited for. */
	LMDB_LOCK_MS = 10000,
};

extern const struct library lmdb_library;

#define LMDB_FUNCTIONS(F)                                                                \
	F(mdb_cursor_close)                                                              \
	F(mdb_cursor_get)                                                                \
	F(mdb_cursor_open)                                                               \
	F(mdb_dbi_open)                                                                  \
	F(mdb_del)                                                                       \
	F(mdb_drop)                                                                      \
	F(mdb_env_close)                                                                 \
	F(mdb_env_create)                                                                \
	F(mdb_env_get_fd)                                                                \
	F(mdb_env_get_maxkeysize)                                                        \
	F(mdb_env_open)                                                                  \
	F(mdb_env_set_mapsize)                                                           \
	F(mdb_get)                                                                       \
	F(mdb_put)                                                                       \
	F(mdb_strerror)                                                                  \
	F(mdb_txn_abort)                                                                 \
	F(mdb_txn_begin)                                                                 \
	F(mdb_txn_commit)

struct lmdb_functions {
	LMDB_FUNCTIONS(LIBRARY_MEMBER)
};

bool lmdb_functions(struct lmdb_functions *f_out, struct err *err) MUST_CHECK;

/* type: F_RDLCK or F_WRLCK; gives up after LMDB_LOCK_MS. */
bool lmdb_lock(int fd, short type, const char *path, struct err *err) MUST_CHECK;
void lmdb_unlock(int fd);

MDB_val lmdb_datum(struct str s);
