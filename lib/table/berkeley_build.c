/* SPDX-License-Identifier: Apache-2.0 */
/* hash: and btree: write side. */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"

#include "table/berkeley_internal.h"
#include "table/build_internal.h"

enum {
	/* Postfix's number; it shapes the file, so a walk has the same order. */
	HASH_ELEMENTS = 4096,
	CACHE_BYTES = 16 << 20,
};

struct state {
	DB *db;
	int lock_fd; /* in place: locked exclusively */
};

static bool
open_handle(struct build *b, struct state *s, const char *path, u_int32_t flags,
	    struct err *err)
{
	DBTYPE type = berkeley_type(str_from(b->type->name));
	int rc;

	if (!berkeley_new(&s->db, err))
		return false;
	s->db->set_cachesize(s->db, 0, CACHE_BYTES, 0);
	if (type == DB_HASH && (flags & DB_CREATE) != 0)
		s->db->set_h_nelem(s->db, HASH_ELEMENTS);
	rc = s->db->open(s->db, NULL, path, NULL, type, flags, (int)b->options.mode);
	if (rc != 0) {
		err_set(err, rc == ENOENT ? ERR_CONFIG : ERR_PERM, "open database %s: %s",
			b->path, berkeley_text(s->db, rc));
		err->errnum = rc > 0 ? rc : 0;
		return false;
	}
	return true;
}

static bool
open_build(struct build *b, const char *path, enum build_mode mode, struct err *err)
{
	struct state *s = ARENA_NEW(b->mem, struct state);

	s->lock_fd = -1;
	b->state = s;
	/* To the library an empty file is none: what it makes anew it may also cut. */
	if (mode == BUILD_NEW)
		return open_handle(b, s, path, DB_CREATE | DB_TRUNCATE, err);
	s->lock_fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (s->lock_fd < 0)
		return err_errno(err, ERR_CONFIG, "open database %s", b->path);
	return berkeley_lock(s->lock_fd, LOCK_EX, path, err) &&
	       open_handle(b, s, path,
			   mode == BUILD_REWRITE ? DB_CREATE | DB_TRUNCATE : 0, err);
}

static enum build_added
put(struct build *b, struct str key, struct str value, bool replace, struct err *err)
{
	struct state *s = b->state;
	DBT k = berkeley_datum(key, false);
	DBT v = berkeley_datum(value, false);
	int rc = s->db->put(s->db, NULL, &k, &v, replace ? 0 : DB_NOOVERWRITE);

	if (rc == 0)
		return BUILD_ADDED;
	if (rc == DB_KEYEXIST)
		return BUILD_DUPLICATE;
	err_set(err, ERR_TEMP, "write %s: %s", b->path, berkeley_text(s->db, rc));
	return BUILD_FAILED;
}

static enum build_deleted
remove_key(struct build *b, struct str key, struct err *err)
{
	struct state *s = b->state;
	DBT k = berkeley_datum(key, false);
	int rc = s->db->del(s->db, NULL, &k, 0);

	if (rc == 0)
		return BUILD_DELETED;
	if (rc == DB_NOTFOUND)
		return BUILD_NOT_THERE;
	err_set(err, ERR_TEMP, "delete from %s: %s", b->path, berkeley_text(s->db, rc));
	return BUILD_DELETE_FAILED;
}

static bool
finish(struct build *b, struct err *err)
{
	struct state *s = b->state;
	int rc = s->db->sync(s->db, 0);

	return rc == 0 ||
	       err_set(err, ERR_TEMP, "write %s: %s", b->path, berkeley_text(s->db, rc));
}

static void
close_build(struct build *b)
{
	struct state *s = b->state;

	berkeley_close(&s->db);
	if (s->lock_fd >= 0)
		sys_close(s->lock_fd);
}

const struct build_ops berkeley_build = {
	.suffix = ".db",
	.with_nul = true,
	.in_place = true,
	.open = open_build,
	.put = put,
	.remove = remove_key,
	.finish = finish,
	.close = close_build,
};
