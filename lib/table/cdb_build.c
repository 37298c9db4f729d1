/* SPDX-License-Identifier: Apache-2.0 */
/* cdb: write side. */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"

#include "table/build_internal.h"
#include "table/cdb_internal.h"

#define FUNCTIONS(F) F(cdb_make_finish) F(cdb_make_put) F(cdb_make_start)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct state {
	struct functions f;
	struct cdb_make make;
	int fd;
	bool finished;
};

static bool
open_build(struct build *b, const char *path, enum build_mode mode UNUSED,
	   struct err *err)
{
	struct state *s = ARENA_NEW(b->mem, struct state);

	if (!library_functions(&cdb_library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err))
		return false;
	s->fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (s->fd < 0)
		return err_errno(err, ERR_PERM, "open database %s", b->path);
	if (s->f.cdb_make_start(&s->make, s->fd) != 0) {
		err_errno(err, ERR_TEMP, "write %s", b->path);
		sys_close(s->fd);
		return false;
	}
	b->state = s;
	return true;
}

static enum build_added
put(struct build *b, struct str key, struct str value, bool replace, struct err *err)
{
	struct state *s = b->state;
	int rc;

	rc = s->f.cdb_make_put(&s->make, key.p, (unsigned)key.len, value.p,
			       (unsigned)value.len,
			       replace ? CDB_PUT_REPLACE : CDB_PUT_INSERT);
	if (rc < 0) {
		err_errno(err, ERR_TEMP, "write %s", b->path);
		return BUILD_FAILED;
	}
	/* 1: the key was there before. */
	return rc == 0 || replace ? BUILD_ADDED : BUILD_DUPLICATE;
}

static bool
finish(struct build *b, struct err *err)
{
	struct state *s = b->state;

	s->finished = true;
	return s->f.cdb_make_finish(&s->make) == 0 ||
	       err_errno(err, ERR_TEMP, "write %s", b->path);
}

static void
close_build(struct build *b)
{
	struct state *s = b->state;

	/* It also frees what the library remembers; the file is a temporary one. */
	if (!s->finished)
		s->f.cdb_make_finish(&s->make);
	sys_close(s->fd);
}

const struct build_ops cdb_build = {
	.suffix = ".cdb",
	.open = open_build,
	.put = put,
	.finish = finish,
	.close = close_build,
};
