/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "queue/id.h"

enum { DEPTH_MAX = 16 };

static const char fix_suffix[] = "#FIX";

/* Logs before messages: a message takes its logs along. */
const enum queue_name walk_order[] = {
	QUEUE_DEFER,  QUEUE_BOUNCE,   QUEUE_TRACE, QUEUE_MAILDROP, QUEUE_INCOMING,
	QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD,  QUEUE_FLUSH,    QUEUE_NAMES};

enum {
	LOG_QUEUES = 1u << QUEUE_DEFER | 1u << QUEUE_BOUNCE | 1u << QUEUE_TRACE,
	MESSAGE_QUEUES = 1u << QUEUE_MAILDROP | 1u << QUEUE_INCOMING |
			 1u << QUEUE_ACTIVE | 1u << QUEUE_DEFERRED | 1u << QUEUE_HOLD,
};

/* One directory entry. */
struct entry {
	struct walk *walk;
	struct arena *mem;
	enum queue_name queue;
	struct str path; /* relative to the queue directory */
	struct str name;
	struct stat st;
};

static bool
is_one_of(enum queue_name q, uint32_t set)
{
	return (set & (1u << q)) != 0;
}

static int
wanted_depth(const struct walk *w, enum queue_name q)
{
	return is_one_of(q, w->scope.dirs->hashed) ? w->scope.dirs->hash_depth : 0;
}

/* ---- names and places ---- */

static struct str
path_of_marked(struct entry *e, enum queue_name q, struct str id)
{
	struct str path = queue_path(e->mem, e->walk->scope.dirs, q, id);

	return str_printf(e->mem, PRI_STR "%s", STR_ARG(path), fix_suffix);
}

/* Move the file; a name that is taken is a warning, one that vanished nothing. */
static bool
give_name(struct entry *e, struct str from, struct str to, struct err *err)
{
	if (queue_rename(e->walk->scope.dirs, from, to, err))
		return true;
	if (err->errnum == EEXIST)
		log_warning(e->walk->scope.log, "%s", err->text);
	else if (err->errnum != ENOENT)
		return false;
	err->errnum = 0;
	return true;
}

/* The logs get their new name first, so that a message never has a name that its logs do
 * not have: what was interrupted is found by the message's old name. */
static bool
mark_for_inode(struct entry *e, struct str id, struct err *err)
{
	const struct queue_dirs *dirs = e->walk->scope.dirs;
	static const enum queue_name logs[] = {QUEUE_TRACE, QUEUE_DEFER, QUEUE_BOUNCE};

	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		struct str plain = queue_path(e->mem, dirs, logs[i], e->name);

		if (!give_name(e, plain, path_of_marked(e, logs[i], id), err))
			return false;
	}
	if (!give_name(e, e->path, path_of_marked(e, e->queue, id), err))
		return false;
	e->walk->renamed++;
	e->walk->marked++;
	return true;
}

static void
warn_bogus(const struct entry *e)
{
	log_warning(e->walk->scope.log, "bogus file name: " PRI_STR, STR_ARG(e->path));
}

/* A file that the first pass has marked: the second one takes the mark away. */
static bool
fix_marked(struct entry *e, struct err *err)
{
	struct walk *w = e->walk;
	struct str id = str_head(e->name, e->name.len - strlen(fix_suffix));

	if (queue_id_for_inode(e->mem, id, 1, true, false).len == 0) {
		warn_bogus(e);
		return true;
	}
	if ((w->tasks & WALK_STRIP) == 0) {
		w->marked++;
		return true;
	}
	return give_name(e, e->path, queue_path(e->mem, w->scope.dirs, e->queue, id),
			 err);
}

static bool
fix_place(struct entry *e, struct err *err)
{
	struct str wanted = queue_path(e->mem, e->walk->scope.dirs, e->queue, e->name);

	return str_eq(wanted, e->path) || give_name(e, e->path, wanted, err);
}

static bool
fix_entry(struct entry *e, struct err *err)
{
	const struct walk *w = e->walk;
	struct str id;

	if (str_ends(e->name, str_from(fix_suffix)))
		return fix_marked(e, err);
	id = queue_id_is_valid(e->name) ? e->name : STR_EMPTY;
	if (is_one_of(e->queue, MESSAGE_QUEUES))
		id = queue_id_for_inode(e->mem, e->name, e->st.st_ino,
					w->scope.dirs->long_ids,
					(w->tasks & WALK_MATCH_LONG) != 0);
	if (id.len == 0) {
		warn_bogus(e);
		return true;
	}
	if ((w->tasks & WALK_STRUCTURE) == 0)
		return true;
	return str_eq(id, e->name) ? fix_place(e, err) : mark_for_inode(e, id, err);
}

/* ---- left-overs ---- */

/* Neither complete nor marked as damaged: nobody has written to it for a week. */
static bool
is_stale(const struct entry *e)
{
	return is_one_of(e->queue, MESSAGE_QUEUES) &&
	       (e->st.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY &&
	       (e->st.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_CORRUPT &&
	       e->st.st_mtime < sys_now_us() / 1000000 - WALK_STALE_S;
}

static bool
remove_entry(struct entry *e, struct err *err)
{
	return sys_unlinkat(e->walk->scope.dirs->root, e->path.p, 0) == 0 ||
	       errno == ENOENT || err_errno(err, ERR_TEMP, "remove file %s", e->path.p);
}

/* ---- acts on all ---- */

/* A file may be in the wrong place; then it is moved to the right one first, so that it
 * is found by its id. */
static bool
act_on_entry(struct entry *e, enum act a, bool *gone_out, struct err *err)
{
	struct walk *w = e->walk;

	if (!act_applies(a, e->queue))
		return true;
	switch (act_on_file(&w->scope, a, e->queue, e->name, err)) {
	case ACT_DONE:
		w->done[a]++;
		*gone_out = a != ACT_EXPIRE;
		return true;
	case ACT_NOTHING:
		return true;
	case ACT_FAILED:
		break;
	}
	return false;
}

static bool
act_on_all(struct entry *e, struct err *err)
{
	/* Marks before moves; of the moves the first. */
	static const enum act order[] = {ACT_EXPIRE, ACT_HOLD, ACT_RELEASE, ACT_REQUEUE,
					 ACT_DELETE};
	struct walk *w = e->walk;
	bool gone = false;

	if (is_one_of(e->queue, MESSAGE_QUEUES)) {
		if (!queue_id_is_valid(e->name))
			return true;
		if (!fix_place(e, err))
			return false;
		for (size_t i = 0; i < ARRAY_LEN(order) && !gone; i++) {
			if ((w->acts & (1u << order[i])) != 0 &&
			    !act_on_entry(e, order[i], &gone, err))
				return false;
		}
		return true;
	}
	/* Logs whose messages go as well. */
	return (w->acts & (1u << ACT_DELETE)) == 0 || remove_entry(e, err);
}

/* ---- the walk ---- */

static bool
take_file(struct entry *e, struct err *err)
{
	struct walk *w = e->walk;

	if (!S_ISREG(e->st.st_mode))
		return remove_entry(e, err);
	if ((w->tasks & WALK_PURGE) != 0 && is_stale(e))
		return remove_entry(e, err);
	if ((w->tasks & (WALK_PURGE | WALK_STRUCTURE | WALK_STRIP)) != 0 &&
	    !fix_entry(e, err))
		return false;
	return w->acts == 0 || act_on_all(e, err);
}

struct level {
	DIR *dir;
	struct arena *mem;
	struct str path;
};

struct path {
	struct walk *walk;
	enum queue_name queue;
	struct level levels[DEPTH_MAX + 1];
	int depth;
};

static bool
enter(struct path *p, struct str name, struct err *err)
{
	int fd = sys_openat(p->walk->scope.dirs->root, name.p,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL) {
		IGNORE(err_errno(err, ERR_TEMP, "open directory %s", name.p));
		if (fd >= 0)
			sys_close(fd);
		return false;
	}
	p->levels[++p->depth] = (struct level){.dir = dir, .mem = arena_new()};
	p->levels[p->depth].path = str_dup(p->levels[p->depth].mem, name);
	return true;
}

static void
close_level(struct path *p)
{
	struct level *level = &p->levels[p->depth--];

	closedir(level->dir);
	arena_free(&level->mem);
}

/* Where no file belongs any more, no directory does. Files that could not or need not be
 * moved keep it. */
static bool
leave(struct path *p, struct arena *mem, struct err *err)
{
	struct str path = str_dup(mem, p->levels[p->depth].path);
	bool wanted = p->depth <= wanted_depth(p->walk, p->queue);

	close_level(p);
	if (wanted ||
	    sys_unlinkat(p->walk->scope.dirs->root, path.p, AT_REMOVEDIR) == 0 ||
	    errno == ENOENT)
		return true;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_errno(err, ERR_TEMP, "remove directory %s", path.p);
	log_warning(p->walk->scope.log, "remove directory %s: %s", path.p,
		    strerror(errno));
	return true;
}

static bool
take_directory(struct path *p, struct str path, struct str name, struct err *err)
{
	if (name.len == 1 && p->depth < DEPTH_MAX)
		return enter(p, path, err);
	if (sys_unlinkat(p->walk->scope.dirs->root, path.p, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		log_warning(p->walk->scope.log, "remove subdirectory " PRI_STR ": %s",
			    STR_ARG(path), strerror(errno));
	return true;
}

static bool
take_name(struct path *p, struct arena *mem, const char *name, struct err *err)
{
	struct walk *w = p->walk;
	struct entry e = {
		.walk = w, .mem = mem, .queue = p->queue, .name = str_from(name)};

	e.path = str_printf(mem, PRI_STR "/%s", STR_ARG(p->levels[p->depth].path), name);
	if (sys_fstatat(w->scope.dirs->root, e.path.p, &e.st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			log_warning(w->scope.log, "lstat %s: %s", e.path.p,
				    strerror(errno));
		return true;
	}
	if (S_ISDIR(e.st.st_mode))
		return take_directory(p, e.path, e.name, err);
	return take_file(&e, err);
}

static bool
is_interrupted(void)
{
	sigset_t waiting;

	return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGHUP) == 1 ||
					     sigismember(&waiting, SIGINT) == 1 ||
					     sigismember(&waiting, SIGTERM) == 1);
}

static bool
walk_queue(struct walk *w, enum queue_name q, struct err *err)
{
	struct path p = {.walk = w, .queue = q, .depth = -1};
	struct arena *mem = arena_new();
	bool ok = enter(&p, str_from(queue_directory_name(q)), err);

	while (ok && p.depth >= 0) {
		const struct dirent *e = readdir(p.levels[p.depth].dir);

		if (e == NULL)
			ok = leave(&p, mem, err);
		else if (is_interrupted())
			ok = err_set(err, ERR_TEMP, "interrupted");
		else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = take_name(&p, mem, e->d_name, err);
		arena_reset(mem);
	}
	while (p.depth >= 0)
		close_level(&p);
	arena_free(&mem);
	return ok;
}

bool
walk_run(struct walk *w, struct err *err)
{
	for (size_t i = 0; walk_order[i] != QUEUE_NAMES; i++) {
		enum queue_name q = walk_order[i];

		if (!is_one_of(q, w->scope.queues))
			continue;
		log_debug(w->scope.log, "queue: %s", queue_directory_name(q));
		if (!walk_queue(w, q, err))
			return false;
	}
	return true;
}
