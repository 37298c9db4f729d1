/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lmdb: read side.
 *
 * A change in place (Postfix's postmap, ours with -i or -d) is seen by the next look-up
 * without more ado: each is a transaction. A file that was renamed into place is opened
 * anew. Keys and values with and without a NUL at the end are read: both are tried.
 */
#include "table/lmdb_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "base/sys.h"

#include "table/build_internal.h"

enum { LOCK_STEP_MS = 5 };

struct lmdb {
	struct lmdb_functions f;
	char *path;   /* with .lmdb */
	MDB_env *env; /* NULL: the last attempt to open it again failed */
	int fd;       /* the environment's, for locks */
	struct file_id id;
};

const struct library lmdb_library = {
	.soname = "liblmdb.so.0",
	.package = "liblmdb0",
};

bool
lmdb_functions(struct lmdb_functions *f_out, struct err *err)
{
	static const char *const names[] = {LMDB_FUNCTIONS(LIBRARY_NAME)};

	return library_functions(&lmdb_library, names, ARRAY_LEN(names), f_out,
				 sizeof(*f_out), err);
}

bool
lmdb_lock(int fd, short type, const char *path, struct err *err)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int64_t give_up = sys_mono_ms() + LMDB_LOCK_MS;

	while (sys_fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};

		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_errno(err, ERR_TEMP, "lock %s", path);
		if (sys_mono_ms() > give_up)
			return err_set(err, ERR_TEMP,
				       "%s has been locked by another program for %d s",
				       path, LMDB_LOCK_MS / 1000);
		nanosleep(&step, NULL);
	}
	return true;
}

void
lmdb_unlock(int fd)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	sys_fcntl(fd, F_OFD_SETLK, &lock);
}

MDB_val
lmdb_datum(struct str s)
{
	return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.p};
}

static void
close_file(void *p)
{
	struct lmdb *l = p;

	if (l->env != NULL)
		l->f.mdb_env_close(l->env);
	l->env = NULL;
}

static bool
complain(const struct lmdb *l, const char *what, int rc, struct err *err)
{
	enum err_kind kind = rc == ENOENT || rc == EACCES ? ERR_CONFIG : ERR_TEMP;

	return err_set(err, kind, "%s %s: %s", what, l->path, l->f.mdb_strerror(rc));
}

static bool
open_file(struct lmdb *l, struct err *err)
{
	struct stat st;
	int rc = l->f.mdb_env_create(&l->env);

	if (rc != 0) {
		l->env = NULL;
		return complain(l, "open database", rc, err);
	}
	/* No more than what is there: the file says how large it may become, which can be
	 * all that addresses can name. */
	if (sys_fstatat(AT_FDCWD, l->path, &st, 0) == 0 && st.st_size > 0)
		rc = l->f.mdb_env_set_mapsize(l->env, (size_t)st.st_size);
	if (rc == 0)
		rc = l->f.mdb_env_open(l->env, l->path, LMDB_FLAGS | MDB_RDONLY, 0);
	if (rc == 0)
		rc = l->f.mdb_env_get_fd(l->env, &l->fd);
	if (rc == 0 && sys_fstat(l->fd, &st) != 0)
		rc = errno;
	if (rc != 0) {
		close_file(l);
		return complain(l, "open database", rc, err);
	}
	l->id = file_id_of(&st);
	return true;
}

static bool
lmdb_open(struct table *t, struct str name, struct err *err)
{
	struct lmdb *l = ARENA_NEW(t->mem, struct lmdb);

	l->path = str_c(t->mem, str_concat(t->mem, name, STR(".lmdb")));
	t->state = l;
	if (!lmdb_functions(&l->f, err) || !open_file(l, err))
		return false;
	arena_defer(t->mem, close_file, l);
	return true;
}

/* Has another file come into its place? One that was changed in place is still ours. */
static bool
is_replaced(const struct lmdb *l)
{
	struct stat st;

	return sys_fstatat(AT_FDCWD, l->path, &st, 0) == 0 &&
	       (st.st_dev != l->id.dev || st.st_ino != l->id.ino);
}

/* One attempt, under the lock. grown_out: it has become larger than what is mapped. */
static bool
begin_locked(struct lmdb *l, MDB_txn **txn_out, MDB_dbi *dbi_out, bool *grown_out,
	     struct err *err)
{
	MDB_txn *txn;
	int rc = l->f.mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);

	*grown_out = rc == MDB_MAP_RESIZED;
	if (rc != 0)
		return complain(l, "read", rc, err);
	rc = l->f.mdb_dbi_open(txn, NULL, 0, dbi_out);
	if (rc != 0) {
		l->f.mdb_txn_abort(txn);
		return complain(l, "read", rc, err);
	}
	*txn_out = txn;
	return true;
}

/* On success the file is locked (shared) and a transaction runs. */
static bool
begin(struct table *t, struct lmdb *l, MDB_txn **txn_out, MDB_dbi *dbi_out,
      struct err *err)
{
	bool grown = false;

	if (l->env != NULL && is_replaced(l) && table_may_reopen(t, l->path))
		close_file(l);
	for (int attempt = 0; attempt < 2; attempt++) {
		if (l->env == NULL && !open_file(l, err))
			return false;
		if (!lmdb_lock(l->fd, F_RDLCK, l->path, err))
			return false;
		if (begin_locked(l, txn_out, dbi_out, &grown, err))
			return true;
		lmdb_unlock(l->fd);
		if (!grown)
			break;
		close_file(l);
	}
	return false;
}

static void
end(struct lmdb *l, MDB_txn *txn)
{
	l->f.mdb_txn_abort(txn);
	lmdb_unlock(l->fd);
}

static int
get(const struct lmdb *l, MDB_txn *txn, MDB_dbi dbi, struct str key, MDB_val *value)
{
	MDB_val k = lmdb_datum(key);

	/* What cannot be a key is none. */
	if (key.len == 0 || key.len > (size_t)l->f.mdb_env_get_maxkeysize(l->env))
		return MDB_NOTFOUND;
	return l->f.mdb_get(txn, dbi, &k, value);
}

/* As Postfix reads it: a C string. */
static struct str
text_of(const MDB_val *v)
{
	struct str s = str_from_mem(v->mv_data, v->mv_size);

	return str_head(s, str_index(s, '\0'));
}

static enum lookup
lmdb_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	    struct err *err)
{
	struct lmdb *l = t->state;
	enum lookup result = LOOKUP_ABSENT;
	MDB_val value;
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;

	if (!begin(t, l, &txn, &dbi, err))
		return LOOKUP_FAILED;
	/* Behind the key there is a NUL: table_lookup(). */
	rc = get(l, txn, dbi, str_from_mem(key.p, key.len + 1), &value);
	if (rc == MDB_NOTFOUND)
		rc = get(l, txn, dbi, key, &value);
	if (rc == 0 && value.mv_size <= TABLE_VALUE_MAX) {
		*value_out = str_dup(mem, text_of(&value));
		result = LOOKUP_FOUND;
	} else if (rc != MDB_NOTFOUND) {
		err_set(err, ERR_TEMP, "%s: %s", l->path,
			rc != 0 ? l->f.mdb_strerror(rc) : "value too long");
		result = LOOKUP_FAILED;
	}
	end(l, txn);
	return result;
}

static bool
lmdb_walk(struct table *t, table_entry_fn fn, void *arg, struct err *err)
{
	struct lmdb *l = t->state;
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;

	if (!begin(t, l, &txn, &dbi, err))
		return false;
	rc = l->f.mdb_cursor_open(txn, dbi, &cursor);
	if (rc == 0) {
		while ((rc = l->f.mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
			if (!fn(text_of(&key), text_of(&value), arg))
				break;
		l->f.mdb_cursor_close(cursor);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		complain(l, "read", rc, err);
	end(l, txn);
	return rc == 0 || rc == MDB_NOTFOUND;
}

const struct table_type table_type_lmdb = {
	.name = "lmdb",
	.library = &lmdb_library,
	.build = &lmdb_build,
	.open = lmdb_open,
	.lookup = lmdb_lookup,
	.walk = lmdb_walk,
};
