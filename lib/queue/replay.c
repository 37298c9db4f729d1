/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/sys.h"

#include "queue/id.h"
#include "queue/journal_internal.h"

enum { DEAD_MAX = 2 * JOURNAL_ALL_MAX, FILE_BYTES_MAX = 1 << 30 };

struct dead {
	struct str path;
	int fd;
	struct str text;
	struct journal_head head;
	bool has_head;
	bool is_keeper;
};

/* The last word on an id. */
struct entry {
	int64_t time_us;
	bool removed;
	enum queue_name queue;
	struct str file;
};

struct replay {
	struct arena *mem;
	const struct queue_dirs *dirs;
	const char *boot;
	struct journal_replayed *told;
	struct dead dead[DEAD_MAX];
	size_t n_dead;
	struct journal_head mark; /* of the tools */
	bool has_mark;
	struct map *entries;
};

static bool
read_head(struct str text, struct journal_head *out)
{
	if (text.len < sizeof(*out))
		return false;
	memcpy(out, text.p, sizeof(*out));
	return out->magic == JOURNAL_MAGIC && out->crc == journal_head_crc(out);
}

/* ---- collecting ---- */

static bool
take_file(struct replay *p, const char *name, struct err *err)
{
	struct str path = str_printf(p->mem, "journal/%s", name);
	int fd = journal_open_locked(p->dirs->root, path.p, 0);
	struct dead *d = &p->dead[p->n_dead];

	if (fd < 0)
		return errno == EWOULDBLOCK || errno == ENOENT ||
		       err_errno(err, ERR_TEMP, "open %s", path.p);
	arena_defer_close(p->mem, fd);
	*d = (struct dead){.path = path,
			   .fd = fd,
			   .is_keeper = str_starts(str_from(name), STR("qmgr."))};
	if (!io_read_all(p->mem, fd, FILE_BYTES_MAX, path.p, &d->text, err))
		return false;
	if (journal_is_mark(str_from(name))) {
		p->has_mark = read_head(d->text, &p->mark);
		return true;
	}
	d->has_head = read_head(d->text, &d->head);
	p->n_dead++;
	return true;
}

static bool
collect(struct replay *p, struct err *err)
{
	int fd = sys_openat(p->dirs->root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			    0);
	struct dirent *e;
	bool ok = true;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT || err_errno(err, ERR_TEMP, "open journal");
	d = fdopendir(fd);
	if (d == NULL) {
		sys_close(fd);
		return err_errno(err, ERR_TEMP, "read directory journal");
	}
	while (ok && p->n_dead < DEAD_MAX && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			ok = take_file(p, e->d_name, err);
	}
	closedir(d);
	return ok;
}

/* ---- reading records ---- */

/* Of all that was synced in the boot of this file. */
static int64_t
newest_mark(const struct replay *p, const char *boot)
{
	int64_t mark = 0;

	for (size_t i = 0; i < p->n_dead; i++) {
		const struct journal_head *h = &p->dead[i].head;

		if (p->dead[i].has_head && memcmp(h->boot, boot, sizeof(h->boot)) == 0)
			mark = MAX_OF(mark, h->mark);
	}
	if (p->has_mark && memcmp(p->mark.boot, boot, sizeof(p->mark.boot)) == 0)
		mark = MAX_OF(mark, p->mark.mark);
	return mark;
}

static bool
record_at(const struct dead *d, size_t at, struct journal_record *r)
{
	if (at + sizeof(*r) > d->text.len)
		return false;
	memcpy(r, d->text.p + at, sizeof(*r));
	return r->magic == JOURNAL_RECORD_MAGIC && r->sequence == d->head.sequence &&
	       r->bytes <= JOURNAL_MESSAGE_MAX && r->queue < QUEUE_NAMES &&
	       journal_record_size(r) <= d->text.len - at &&
	       r->crc == journal_record_crc(d->text.p + at, r);
}

static void
take_record(struct replay *p, const struct dead *d, size_t at,
	    const struct journal_record *r)
{
	struct str id = str_from_mem(d->text.p + at + sizeof(*r), r->id_len);
	struct entry *e = map_find(p->entries, id);

	if (!queue_id_is_valid(id))
		return;
	if (r->type == JOURNAL_MESSAGE)
		p->told->messages++;
	if (e == NULL) {
		e = ARENA_NEW(p->mem, struct entry);
		map_set(p->entries, id, e);
	} else if (e->time_us > r->time_us) {
		return;
	}
	*e = (struct entry){
		.time_us = r->time_us,
		.removed = r->type != JOURNAL_MESSAGE,
		.queue = (enum queue_name)r->queue,
		.file = str_from_mem(d->text.p + at + sizeof(*r) + r->id_len, r->bytes)};
}

/* What cannot be read at the end was never relied on; with good records behind it
 * something was damaged. */
static void
read_records(struct replay *p, const struct dead *d)
{
	int64_t mark = newest_mark(p, d->head.boot);
	bool hole = false;

	for (size_t at = JOURNAL_BLOCK; at < d->text.len;) {
		struct journal_record r;

		if (!record_at(d, at, &r)) {
			hole = true;
			at += 8;
			continue;
		}
		if (hole)
			p->told->damaged++;
		hole = false;
		if (r.time_us >= mark)
			take_record(p, d, at, &r);
		at += journal_record_size(&r);
	}
}

/* ---- writing what is missing ---- */

static bool
is_there(struct replay *p, struct str id, const struct entry *e)
{
	static const enum queue_name places[] = {
		QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD, QUEUE_CORRUPT};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct str path = queue_path(p->mem, p->dirs, places[i], id);
		struct stat st;

		if (sys_fstatat(p->dirs->root, path.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if ((st.st_mode & QUEUE_MODE_WRITING) == QUEUE_MODE_CORRUPT ||
		    ((st.st_mode & QUEUE_MODE_READY) == QUEUE_MODE_READY &&
		     st.st_size >= (off_t)e->file.len))
			return true;
		/* What is left of it must not be taken for a second message. */
		IGNORE(sys_unlinkat(p->dirs->root, path.p, 0) < 0);
	}
	return false;
}

static bool
restore(struct replay *p, struct str id, const struct entry *e, struct err *err)
{
	enum queue_name q = e->queue == QUEUE_HOLD ? QUEUE_HOLD : QUEUE_INCOMING;
	struct str path = queue_path(p->mem, p->dirs, q, id);
	bool ok;
	int fd;

	if (is_there(p, id, e))
		return true;
	fd = sys_openat(p->dirs->root, path.p,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			QUEUE_MODE_WRITING);
	if (fd < 0)
		return err_errno(err, ERR_TEMP, "create %s", path.p);
	ok = io_write_all(fd, e->file, path.p, err) &&
	     (sys_fchmod(fd, QUEUE_MODE_READY) == 0 ||
	      err_errno(err, ERR_TEMP, "chmod %s", path.p)) &&
	     (sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "sync %s", path.p));
	sys_close(fd);
	p->told->restored += ok;
	return ok;
}

static bool
restore_all(struct replay *p, struct err *err)
{
	const struct map_entry *at;
	size_t n = 0;

	while ((at = map_next(p->entries, &n)) != NULL) {
		const struct entry *e = at->value;

		if (!e->removed && !restore(p, at->key, e, err))
			return false;
	}
	return true;
}

/* Messages first: while one of their files is there, what was removed must be known. */
static bool
remove_dead(struct replay *p, bool keepers, struct err *err)
{
	for (size_t i = 0; i < p->n_dead; i++) {
		if (p->dead[i].is_keeper == keepers &&
		    sys_unlinkat(p->dirs->root, p->dead[i].path.p, 0) < 0)
			return err_errno(err, ERR_TEMP, "remove %s", p->dead[i].path.p);
	}
	return journal_sync_directory(p->dirs->root, err);
}

static bool
run(struct replay *p, struct err *err)
{
	if (!collect(p, err))
		return false;
	if (p->n_dead == 0)
		return true;
	for (size_t i = 0; i < p->n_dead; i++) {
		p->told->files++;
		if (p->dead[i].has_head)
			read_records(p, &p->dead[i]);
	}
	if (!restore_all(p, err))
		return false;
	/* A live file may hold messages of which a dead one says that they are gone. */
	if (!journal_mark(p->dirs->root, p->boot, err))
		return false;
	if (sys_syncfs(p->dirs->root) < 0)
		return err_errno(err, ERR_TEMP, "sync queue file system");
	return remove_dead(p, false, err) && remove_dead(p, true, err);
}

bool
journal_replay(const struct queue_dirs *dirs, const char *boot,
	       struct journal_replayed *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct replay *p = ARENA_NEW(mem, struct replay);
	struct journal_census c;
	bool ok;

	*out = (struct journal_replayed){0};
	*p = (struct replay){.mem = mem, .dirs = dirs, .boot = boot, .told = out};
	p->entries = map_new_in(mem);
	ok = journal_count(dirs->root, &c, err) && (c.keeper || run(p, err));
	arena_free(&mem);
	return ok;
}

/* ---- while the system runs ---- */

/* How many dead files could be locked; they are in fds. */
static size_t
lock_dead(DIR *d, int root, struct arena *mem, struct str *paths, int *fds)
{
	struct dirent *e;
	size_t n = 0;

	while (n < DEAD_MAX && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || journal_is_mark(str_from(e->d_name)))
			continue;
		paths[n] = str_printf(mem, "journal/%s", e->d_name);
		fds[n] = journal_open_locked(root, paths[n].p, 0);
		n += fds[n] >= 0;
	}
	return n;
}

bool
journal_reclaim(int root, struct err *err)
{
	struct arena *mem;
	struct str paths[DEAD_MAX];
	struct journal_census c;
	int fds[DEAD_MAX];
	bool ok = true;
	size_t n;
	DIR *d;
	int fd;

	if (!journal_count(root, &c, err) || c.dead == 0)
		return c.dead == 0;
	fd = sys_openat(root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL)
		return err_errno(err, ERR_TEMP, "read directory journal");
	mem = arena_new();
	n = lock_dead(d, root, mem, paths, fds);
	/* After their writers' death: all that their records are for is in the files. */
	if (n > 0 && sys_syncfs(root) < 0)
		ok = err_errno(err, ERR_TEMP, "sync queue file system");
	for (size_t i = 0; i < n; i++) {
		if (ok && sys_unlinkat(root, paths[i].p, 0) < 0)
			ok = err_errno(err, ERR_TEMP, "remove %s", paths[i].p);
		sys_close(fds[i]);
	}
	closedir(d);
	arena_free(&mem);
	return ok;
}
