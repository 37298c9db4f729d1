/* SPDX-License-Identifier: Apache-2.0 */
/* lmdb: write side. All changes are one transaction. */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"

#include "table/build_internal.h"
#include "table/lmdb_internal.h"

/* How large a file may become; only addresses are set aside for it. */
static const size_t map_bytes = sizeof(size_t) > 4 ? (size_t)1 << 36 : (size_t)1 << 29;

struct state {
	struct lmdb_functions f;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
};

static bool
complain(const struct build *b, const struct state *s, const char *what, int rc,
	 struct err *err)
{
	err_set(err, rc == ENOENT ? ERR_CONFIG : ERR_PERM, "%s %s: %s", what, b->path,
		s->f.mdb_strerror(rc));
	err->errnum = rc > 0 ? rc : 0;
	return false;
}

/* The environment would make the file if it were not there. */
static bool
check_exists(const struct build *b, struct err *err)
{
	struct stat st;

	return sys_fstatat(AT_FDCWD, b->path, &st, 0) == 0 ||
	       err_errno(err, ERR_CONFIG, "open database %s", b->path);
}

static bool
open_build(struct build *b, const char *path, enum build_mode mode, struct err *err)
{
	struct state *s = ARENA_NEW(b->mem, struct state);
	int fd;
	int rc;

	if (!lmdb_functions(&s->f, err) || (mode != BUILD_NEW && !check_exists(b, err)))
		return false;
	rc = s->f.mdb_env_create(&s->env);
	if (rc != 0)
		return complain(b, s, "open database", rc, err);
	b->state = s;
	rc = s->f.mdb_env_set_mapsize(s->env, map_bytes);
	if (rc == 0)
		rc = s->f.mdb_env_open(s->env, path, LMDB_FLAGS, b->options.mode);
	if (rc == 0)
		rc = s->f.mdb_env_get_fd(s->env, &fd);
	if (rc != 0)
		return complain(b, s, "open database", rc, err);
	if (!lmdb_lock(fd, F_WRLCK, b->path, err))
		return false;
	rc = s->f.mdb_txn_begin(s->env, NULL, 0, &s->txn);
	if (rc != 0) {
		s->txn = NULL;
		return complain(b, s, "write", rc, err);
	}
	rc = s->f.mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
	if (rc == 0 && mode == BUILD_REWRITE)
		rc = s->f.mdb_drop(s->txn, s->dbi, 0);
	return rc == 0 || complain(b, s, "write", rc, err);
}

static enum build_added
put(struct build *b, struct str key, struct str value, bool replace, struct err *err)
{
	struct state *s = b->state;
	MDB_val k = lmdb_datum(key);
	MDB_val v = lmdb_datum(value);
	int rc = s->f.mdb_put(s->txn, s->dbi, &k, &v, replace ? 0 : MDB_NOOVERWRITE);

	if (rc == 0)
		return BUILD_ADDED;
	if (rc == MDB_KEYEXIST)
		return BUILD_DUPLICATE;
	if (rc == MDB_BAD_VALSIZE)
		err_set(err, ERR_PERM,
			"write %s: a key of %zu bytes: from 1 to %d can be", b->path,
			key.len, s->f.mdb_env_get_maxkeysize(s->env));
	else
		complain(b, s, "write", rc, err);
	return BUILD_FAILED;
}

static enum build_deleted
remove_key(struct build *b, struct str key, struct err *err)
{
	struct state *s = b->state;
	MDB_val k = lmdb_datum(key);
	int rc;

	if (key.len == 0 || key.len > (size_t)s->f.mdb_env_get_maxkeysize(s->env))
		return BUILD_NOT_THERE;
	rc = s->f.mdb_del(s->txn, s->dbi, &k, NULL);
	if (rc == 0)
		return BUILD_DELETED;
	if (rc == MDB_NOTFOUND)
		return BUILD_NOT_THERE;
	complain(b, s, "delete from", rc, err);
	return BUILD_DELETE_FAILED;
}

static bool
finish(struct build *b, struct err *err)
{
	struct state *s = b->state;
	int rc = s->f.mdb_txn_commit(s->txn);

	s->txn = NULL;
	return rc == 0 || complain(b, s, "write", rc, err);
}

/* The lock goes with the environment's descriptor. */
static void
close_build(struct build *b)
{
	struct state *s = b->state;

	if (s->txn != NULL)
		s->f.mdb_txn_abort(s->txn);
	s->f.mdb_env_close(s->env);
}

const struct build_ops lmdb_build = {
	.suffix = ".lmdb",
	.with_nul = true,
	.in_place = true,
	.open = open_build,
	.put = put,
	.remove = remove_key,
	.finish = finish,
	.close = close_build,
};
