/* SPDX-License-Identifier: Apache-2.0 */
#include "lists.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"

#include "fiber/fiber.h"
#include "queue/id.h"

enum {
	PIECE = 65536,     /* bytes read at once */
	TURN = 50,         /* messages between two chances for the others */
	LISTS_MAX = 100000 /* in one refresh */
};

/* ---- messages ---- */

static mode_t
due_mode(mode_t mode, enum due how)
{
	mode &= 07777;
	return how == DUE_WHATEVER_IS_DOWN ? mode | QUEUE_MODE_UNTHROTTLE : mode;
}

/* Times and mode through a descriptor: whatever its name becomes, it is this file. */
static bool
set_due(const struct lists *l, enum queue_name q, struct str id, enum due how,
	bool *found_out, struct err *err)
{
	static const struct timespec now[2] = {{.tv_nsec = UTIME_NOW},
					       {.tv_nsec = UTIME_NOW}};
	struct stat st;
	bool ok = true;
	int fd;

	if (!queue_open(l->dirs, q, id, false, &fd, err))
		return err->errnum == ENOENT;
	if (sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & QUEUE_MODE_READY) == QUEUE_MODE_READY) {
		ok = (sys_fchmod(fd, due_mode(st.st_mode, how)) == 0 &&
		      sys_futimens(fd, now) == 0) ||
		     err_errno(err, ERR_TEMP, "%s/" PRI_STR ": make due",
			       queue_directory_name(q), STR_ARG(id));
		*found_out = ok;
	}
	sys_close(fd);
	return ok;
}

bool
lists_make_due(const struct lists *l, struct str id, enum due how, bool *found_out,
	       struct err *err)
{
	bool found = false;

	if (!set_due(l, QUEUE_DEFERRED, id, how, &found, err))
		return false;
	if (found && !queue_move(l->dirs, QUEUE_DEFERRED, QUEUE_INCOMING, id, err) &&
	    err->errnum != ENOENT)
		return false;
	if (!found && !set_due(l, QUEUE_INCOMING, id, how, &found, err))
		return false;
	if (found_out != NULL)
		*found_out = found;
	return true;
}

/* ---- one list ---- */

bool
lists_add(const struct lists *l, struct str file, struct str id, bool *full_out,
	  struct err *err)
{
	struct arena *mem = arena_new();
	struct stat st;
	bool ok;
	int fd;

	ok = queue_open_append(l->dirs, QUEUE_FLUSH, file, &fd, err);
	if (ok) {
		ok = sys_fstat(fd, &st) == 0 ||
		     err_errno(err, ERR_TEMP, "stat list " PRI_STR, STR_ARG(file));
		ok = ok && io_write_all(fd, str_printf(mem, PRI_STR "\n", STR_ARG(id)),
					"list", err);
		if (ok)
			*full_out = st.st_size >= LIST_BYTES_MAX;
		sys_close(fd);
	}
	arena_free(&mem);
	return ok;
}

/* One reading of a list. */
struct reading {
	const struct lists *lists;
	struct arena *mem;
	struct str file;
	struct map *seen;
	enum due how;
	int fd;
	int64_t size; /* of the list when we began */
	size_t n;
};

static bool
take_id(struct reading *r, struct str id, struct err *err)
{
	if (!queue_id_is_valid(id)) {
		log_warning(r->lists->log,
			    "bad queue id \"" PRI_STR
			    "...\" in fast flush logfile " PRI_STR,
			    STR_ARG(str_head(id, 30)), STR_ARG(r->file));
		return true;
	}
	if (map_find(r->seen, id) != NULL)
		return true;
	if (map_count(r->seen) < LIST_REMEMBER_MAX)
		map_set(r->seen, id, r);
	if (++r->n % TURN == 0 && !fiber_yield(r->lists->loop))
		return err_set(err, ERR_TEMP, "stopped");
	return lists_make_due(r->lists, id, r->how, NULL, err);
}

/* The next piece behind what is in the buffer already; *got_out: how much, 0 at the end.
 */
static bool
read_piece(const struct reading *r, struct buf *in, int64_t at, size_t *got_out,
	   struct err *err)
{
	size_t room = (size_t)MIN_OF((int64_t)(PIECE - in->len), r->size - at);
	char *p = buf_reserve(in, room);
	ssize_t got;

	*got_out = 0;
	if (p == NULL || room == 0) /* a line that never ends */
		return true;
	do {
		got = sys_pread(r->fd, p, room, at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, ERR_TEMP, "read list flush/" PRI_STR,
				 STR_ARG(r->file));
	buf_commit(in, (size_t)got);
	*got_out = (size_t)got;
	return true;
}

/* All whole lines of the part that was there at the start. */
static bool
take_ids(struct reading *r, struct err *err)
{
	struct buf *in = buf_new(r->mem, PIECE);
	int64_t at = 0;
	size_t got;

	do {
		struct str rest;
		struct str line;

		if (!read_piece(r, in, at, &got, err))
			return false;
		at += (int64_t)got;
		rest = buf_str(in);
		while (str_contains(rest, '\n') && str_line(&rest, &line)) {
			if (!take_id(r, line, err))
				return false;
		}
		buf_consume(in, in->len - rest.len);
	} while (got > 0);
	return true;
}

/* Without the part that was read. What was added meanwhile moves to the front; nobody
 * else runs between these calls. */
static bool
drop_part(struct reading *r, struct err *err)
{
	static const struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
						 {.tv_nsec = UTIME_OMIT}};
	struct stat st;
	struct str rest = STR_EMPTY;
	bool ok = sys_fstat(r->fd, &st) == 0;

	/* Somebody sent the same list meanwhile and has emptied it. */
	if (ok && st.st_size < r->size)
		return true;
	if (ok && st.st_size > r->size) {
		ok = sys_lseek(r->fd, r->size, SEEK_SET) >= 0 &&
		     io_read_all(r->mem, r->fd, LIST_BYTES_MAX, "list", &rest, err) &&
		     sys_pwrite(r->fd, rest.p, rest.len, 0) == (ssize_t)rest.len;
	}
	ok = ok && sys_ftruncate(r->fd, (off_t)rest.len) == 0 &&
	     sys_futimens(r->fd, times) == 0;
	return ok ||
	       err_errno(err, ERR_TEMP, "truncate list flush/" PRI_STR, STR_ARG(r->file));
}

bool
lists_send(const struct lists *l, struct str file, enum due how, struct err *err)
{
	struct reading r = {.lists = l, .mem = arena_new(), .file = file, .how = how};
	struct stat st;
	bool ok = true;

	if (!queue_open(l->dirs, QUEUE_FLUSH, file, true, &r.fd, err)) {
		ok = err->errnum == ENOENT;
	} else {
		if (sys_fstat(r.fd, &st) == 0 && S_ISREG(st.st_mode)) {
			r.seen = map_new_in(r.mem);
			r.size = st.st_size;
			ok = take_ids(&r, err) && drop_part(&r, err);
		}
		sys_close(r.fd);
	}
	arena_free(&r.mem);
	return ok;
}

/* ---- all lists ---- */

static bool
look_after(const struct lists *l, struct arena *mem, struct str file, bool all,
	   struct err *err)
{
	int64_t now = sys_now_us() / 1000000;
	struct str path = queue_path(mem, l->dirs, QUEUE_FLUSH, file);
	struct stat st;

	if (sys_fstatat(l->dirs->root, path.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || err_errno(err, ERR_TEMP, "stat %s", path.p);
	if (!S_ISREG(st.st_mode))
		return true;
	if (st.st_size > 0)
		return (!all && st.st_atim.tv_sec + l->refresh_s > now) ||
		       lists_send(l, file, DUE_AS_USUAL, err);
	if (st.st_mtim.tv_sec + l->purge_s > now)
		return true;
	return sys_unlinkat(l->dirs->root, path.p, 0) == 0 || errno == ENOENT ||
	       err_errno(err, ERR_TEMP, "remove %s", path.p);
}

bool
lists_refresh(const struct lists *l, bool all, struct err *err)
{
	struct queue_scan *scan = queue_scan_new(l->dirs, QUEUE_FLUSH);
	struct arena *mem = arena_new();
	bool ok = queue_scan_error(scan) == 0 ||
		  err_set(err, ERR_TEMP, "cannot read directory flush");
	struct str file;
	size_t n = 0;

	while (queue_scan_next(scan, mem, &file) && n++ < LISTS_MAX) {
		struct err why;

		if (!look_after(l, mem, file, all, &why)) {
			log_warning(l->log, "%s", why.text);
			*err = why;
			ok = false;
		}
		arena_reset(mem);
		if (!fiber_yield(l->loop))
			break;
	}
	queue_scan_free(&scan);
	arena_free(&mem);
	return ok;
}
