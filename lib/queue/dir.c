/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/sys.h"

#include "queue/id.h"

enum { CREATE_TRIES = 1000, HASH_DEPTH_MAX = 16, LINKS_WARN_S = 60 };

static const struct {
	const char *name;
	mode_t mode;
} rows[] = {
#define QUEUE(name, directory, mode) [QUEUE_##name] = {directory, mode},
	QUEUE_ROWS(QUEUE)
#undef QUEUE
};

const char *
queue_directory_name(enum queue_name q)
{
	return rows[q].name;
}

mode_t
queue_directory_mode(enum queue_name q)
{
	return rows[q].mode;
}

enum queue_name
queue_name_find(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(word, str_from(rows[i].name)))
			return (enum queue_name)i;
	}
	return QUEUE_NAMES;
}

bool
queue_dirs_init(struct queue_dirs *dirs, int root, struct str names, int64_t hash_depth,
		bool long_ids, struct err *err)
{
	struct queue_dirs d = {.root = root, .long_ids = long_ids};
	struct str word;

	if (hash_depth < 1 || hash_depth > HASH_DEPTH_MAX)
		return err_set(err, ERR_CONFIG,
			       "hash_queue_depth: %" PRId64 " is not in 1..%d",
			       hash_depth, HASH_DEPTH_MAX);
	d.hash_depth = (int)hash_depth;
	while (str_token(&names, ", \t\r\n", &word)) {
		enum queue_name q = queue_name_find(word);

		if (q != QUEUE_NAMES)
			d.hashed |= 1u << q;
	}
	*dirs = d;
	return true;
}

struct str
queue_path(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
	   struct str id)
{
	bool hashed = (dirs->hashed & (1u << q)) != 0;
	struct str hash = queue_id_hash_path(mem, id, hashed ? dirs->hash_depth : 0);

	return str_printf(mem, "%s/" PRI_STR PRI_STR, rows[q].name, STR_ARG(hash),
			  STR_ARG(id));
}

/* Make the one-letter directories on the way to path ("deferred/A/4/A4..."). */
static bool
make_parents(struct arena *mem, const struct queue_dirs *dirs, struct str path,
	     struct err *err)
{
	for (size_t i = 0; i < path.len; i++) {
		char *part;

		if (path.p[i] != '/')
			continue;
		part = str_c(mem, str_head(path, i));
		if (sys_mkdirat(dirs->root, part, 0700) < 0 && errno != EEXIST)
			return err_errno(err, ERR_TEMP, "create directory %s", part);
	}
	return true;
}

/* Rename within the queue; the first failure for want of a directory makes it. */
static bool
rename_into(struct arena *mem, const struct queue_dirs *dirs, struct str from,
	    struct str to, struct err *err)
{
	struct stat st;

	if (sys_renameat(dirs->root, from.p, dirs->root, to.p) == 0)
		return true;
	if (errno != ENOENT)
		return err_errno(err, ERR_TEMP, "rename %s to %s", from.p, to.p);
	if (sys_fstatat(dirs->root, from.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, ERR_PERM, "rename %s", from.p);
	if (!make_parents(mem, dirs, to, err))
		return false;
	return sys_renameat(dirs->root, from.p, dirs->root, to.p) == 0 ||
	       err_errno(err, ERR_TEMP, "rename %s to %s", from.p, to.p);
}

/* A file under a passing name; its inode is part of the final one. */
static int
create_temporary(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
		 struct str *path_out, struct err *err)
{
	for (int i = 0; i < CREATE_TRIES; i++) {
		struct str path = str_printf(mem, "%s/%06" PRId64 ".%d", rows[q].name,
					     (sys_now_us() + i) % 1000000, (int)getpid());
		int fd = sys_openat(dirs->root, path.p,
				    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
				    QUEUE_MODE_WRITING);

		*path_out = path;
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
	}
	IGNORE(err_errno(err, ERR_TEMP, "create file %s", path_out->p));
	return -1;
}

static bool
give_final_name(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
		int fd, struct str temporary, struct str *id_out, int64_t *created_us_out,
		struct err *err)
{
	struct stat st;

	if (sys_fstat(fd, &st) < 0)
		return err_errno(err, ERR_TEMP, "fstat %s", temporary.p);
	for (int i = 0; i < CREATE_TRIES; i++) {
		int64_t now_us = sys_now_us();
		struct str id = queue_id_make(mem, dirs->long_ids, now_us, st.st_ino);
		struct str path = queue_path(mem, dirs, q, id);
		struct stat other;

		/* The inode is ours alone, so a file of that name is a stranger's
		 * left-over. */
		if (sys_fstatat(dirs->root, path.p, &other, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (!rename_into(mem, dirs, temporary, path, err))
			return false;
		*id_out = id;
		*created_us_out = now_us;
		return true;
	}
	return err_set(err, ERR_TEMP, "no free name for %s", temporary.p);
}

bool
queue_create(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
	     int *fd_out, struct str *id_out, int64_t *created_us_out, struct err *err)
{
	struct str temporary = STR_EMPTY;
	int fd = create_temporary(mem, dirs, q, &temporary, err);

	if (fd < 0)
		return false;
	if (!give_final_name(mem, dirs, q, fd, temporary, id_out, created_us_out, err)) {
		IGNORE(sys_unlinkat(dirs->root, temporary.p, 0) < 0);
		sys_close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}

bool
queue_move(const struct queue_dirs *dirs, enum queue_name from, enum queue_name to,
	   struct str id, struct err *err)
{
	struct arena *mem = arena_new();
	bool ok = rename_into(mem, dirs, queue_path(mem, dirs, from, id),
			      queue_path(mem, dirs, to, id), err);

	arena_free(&mem);
	return ok;
}

/* Where the file system knows no "do not replace", we look before we rename. */
static bool
rename_to_new(const struct queue_dirs *dirs, const char *from, const char *to)
{
	struct stat st;

	if (sys_renameat2(dirs->root, from, dirs->root, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (sys_fstatat(dirs->root, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT && sys_renameat(dirs->root, from, dirs->root, to) == 0;
}

bool
queue_rename(const struct queue_dirs *dirs, struct str from, struct str to,
	     struct err *err)
{
	struct arena *mem = arena_new();
	const char *source = str_c(mem, from);
	const char *target = str_c(mem, to);
	bool ok = rename_to_new(dirs, source, target);
	struct stat st;

	if (!ok && errno == ENOENT) {
		if (sys_fstatat(dirs->root, source, &st, AT_SYMLINK_NOFOLLOW) < 0)
			ok = err_errno(err, ERR_PERM, "rename file %s", source);
		else
			ok = make_parents(mem, dirs, to, err) &&
			     (rename_to_new(dirs, source, target) ||
			      err_errno(err, errno == EEXIST ? ERR_PERM : ERR_TEMP,
					"rename file %s as %s", source, target));
	} else if (!ok) {
		ok = err_errno(err, errno == EEXIST ? ERR_PERM : ERR_TEMP,
			       "rename file %s as %s", source, target);
	}
	arena_free(&mem);
	return ok;
}

bool
queue_remove(const struct queue_dirs *dirs, enum queue_name q, struct str id,
	     struct err *err)
{
	struct arena *mem = arena_new();
	struct str path = queue_path(mem, dirs, q, id);
	bool ok = sys_unlinkat(dirs->root, path.p, 0) == 0 || errno == ENOENT ||
		  err_errno(err, ERR_TEMP, "remove %s", path.p);

	arena_free(&mem);
	return ok;
}

bool
queue_open(const struct queue_dirs *dirs, enum queue_name q, struct str id, bool write,
	   int *fd_out, struct err *err)
{
	struct arena *mem = arena_new();
	struct str path = queue_path(mem, dirs, q, id);
	int fd = sys_openat(
		dirs->root, path.p,
		(write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	bool ok = fd >= 0 || err_errno(err, errno == ENOENT ? ERR_PERM : ERR_TEMP,
				       "open %s", path.p);

	arena_free(&mem);
	if (ok)
		*fd_out = fd;
	return ok;
}

bool
queue_open_append(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		  int *fd_out, struct err *err)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct arena *mem = arena_new();
	struct str path = queue_path(mem, dirs, q, id);
	int fd = sys_openat(dirs->root, path.p, flags, 0600);
	bool ok = true;

	if (fd < 0 && errno == ENOENT) {
		ok = make_parents(mem, dirs, path, err);
		if (ok)
			fd = sys_openat(dirs->root, path.p, flags, 0600);
	}
	if (ok && fd < 0)
		ok = err_errno(err, ERR_TEMP, "open file %s", path.p);
	arena_free(&mem);
	if (ok)
		*fd_out = fd;
	return ok;
}

bool
queue_set_time(const struct queue_dirs *dirs, enum queue_name q, struct str id,
	       int64_t time_us, struct err *err)
{
	const struct timespec t = {.tv_sec = (time_t)(time_us / 1000000),
				   .tv_nsec = (long)(time_us % 1000000) * 1000};
	const struct timespec both[2] = {t, t};
	struct arena *mem = arena_new();
	struct str path = queue_path(mem, dirs, q, id);
	bool ok = sys_utimensat(dirs->root, path.p, both, AT_SYMLINK_NOFOLLOW) == 0 ||
		  err_errno(err, ERR_TEMP, "set time of %s", path.p);

	arena_free(&mem);
	return ok;
}

enum queue_file_state
queue_check(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
	    struct str id, struct stat *st_out, struct str *warning_out)
{
	struct str path = queue_path(mem, dirs, q, id);
	struct stat st;

	if (sys_fstatat(dirs->root, path.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return QUEUE_FILE_GONE;
	*st_out = st;
	if (!S_ISREG(st.st_mode)) {
		*warning_out = str_printf(mem, PRI_STR ": uid %ld: not a regular file",
					  STR_ARG(path), (long)st.st_uid);
		return QUEUE_FILE_STRANGE;
	}
	if ((st.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY)
		return QUEUE_FILE_INCOMPLETE;
	/* Two names for a moment are a rename over a network file system; for long,
	 * somebody plays. */
	if (st.st_nlink > 1 && st.st_ctime < sys_now_us() / 1000000 - LINKS_WARN_S) {
		*warning_out =
			str_printf(mem, PRI_STR ": uid %ld: file has %ld links",
				   STR_ARG(path), (long)st.st_uid, (long)st.st_nlink);
		return QUEUE_FILE_STRANGE;
	}
	return QUEUE_FILE_READY;
}

/* ---- scanning ---- */

struct queue_scan {
	DIR *levels[HASH_DEPTH_MAX + 1];
	int depth; /* of the innermost open directory; -1: at the end */
	int error;
};

static DIR *
open_directory(int parent, const char *name)
{
	int fd = sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
			    0);
	DIR *d;

	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (d == NULL)
		sys_close(fd);
	return d;
}

struct queue_scan *
queue_scan_new(const struct queue_dirs *dirs, enum queue_name q)
{
	struct queue_scan *scan = mem_alloc(sizeof(*scan));

	scan->levels[0] = open_directory(dirs->root, rows[q].name);
	if (scan->levels[0] == NULL) {
		scan->error = errno;
		scan->depth = -1;
	}
	return scan;
}

static bool
is_subdirectory(const struct dirent *e)
{
	return e->d_name[0] != '.' && e->d_name[0] != '\0' && e->d_name[1] == '\0' &&
	       (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN);
}

static void
descend(struct queue_scan *scan, const char *name)
{
	DIR *d = open_directory(dirfd(scan->levels[scan->depth]), name);

	if (d != NULL)
		scan->levels[++scan->depth] = d;
	else if (scan->error == 0 && errno != ENOTDIR && errno != ENOENT)
		scan->error = errno;
}

bool
queue_scan_next(struct queue_scan *scan, struct arena *mem, struct str *id_out)
{
	while (scan->depth >= 0) {
		struct dirent *e = readdir(scan->levels[scan->depth]);

		if (e == NULL) {
			closedir(scan->levels[scan->depth--]);
			continue;
		}
		if (scan->depth < HASH_DEPTH_MAX && is_subdirectory(e)) {
			descend(scan, e->d_name);
			continue;
		}
		if (!queue_id_is_valid(str_from(e->d_name)) || e->d_name[1] == '\0')
			continue;
		*id_out = str_dup(mem, str_from(e->d_name));
		return true;
	}
	return false;
}

int
queue_scan_error(const struct queue_scan *scan)
{
	return scan->error;
}

void
queue_scan_free(struct queue_scan **scan)
{
	if (*scan == NULL)
		return;
	while ((*scan)->depth >= 0)
		closedir((*scan)->levels[(*scan)->depth--]);
	mem_free(*scan);
	*scan = NULL;
}
