/* SPDX-License-Identifier: Apache-2.0 */
#include "table/build.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sys.h"

#include "table/berkeley_internal.h"

enum {
	/* Postfix's number; it shapes the file, so a walk has the same order. */
	HASH_ELEMENTS = 4096,
	CACHE_BYTES = 16 << 20,
};

struct build {
	struct arena *mem;
	struct build_options options;
	DBTYPE type;
	char *path;      /* of the table, with .db */
	char *temporary; /* NULL: in place */
	DB *db;
	int lock_fd; /* in place: locked exclusively */
};

static void
give_up(void *p)
{
	struct build *b = p;

	berkeley_close(&b->db);
	if (b->temporary != NULL)
		sys_unlinkat(AT_FDCWD, b->temporary, 0);
	if (b->lock_fd >= 0)
		sys_close(b->lock_fd);
	b->lock_fd = -1;
	b->temporary = NULL;
}

static bool
open_handle(struct build *b, const char *path, u_int32_t flags, struct err *err)
{
	int rc;

	if (!berkeley_new(&b->db, err))
		return false;
	b->db->set_cachesize(b->db, 0, CACHE_BYTES, 0);
	if (b->type == DB_HASH && (flags & DB_CREATE) != 0)
		b->db->set_h_nelem(b->db, HASH_ELEMENTS);
	rc = b->db->open(b->db, NULL, path, NULL, b->type, flags, (int)b->options.mode);
	if (rc != 0) {
		err_set(err, rc == ENOENT ? ERR_CONFIG : ERR_PERM, "open database %s: %s",
			b->path, berkeley_text(b->db, rc));
		err->errnum = rc > 0 ? rc : 0;
		return false;
	}
	return true;
}

/* flags: DB_TRUNCATE with DB_CREATE to begin anew. */
static bool
open_in_place(struct build *b, u_int32_t flags, struct err *err)
{
	b->lock_fd = sys_openat(AT_FDCWD, b->path, O_RDWR | O_CLOEXEC, 0);
	if (b->lock_fd < 0)
		return err_errno(err, ERR_CONFIG, "open database %s", b->path);
	return berkeley_lock(b->lock_fd, LOCK_EX, b->path, err) &&
	       open_handle(b, b->path, flags, err);
}

/* A name that nobody else has: made by the library with O_EXCL. */
static bool
open_temporary(struct build *b, struct err *err)
{
	char *name =
		str_c(b->mem, str_printf(b->mem, "%s.new.%ld", b->path, (long)getpid()));

	/* Left by a process of the same number that did not end well. */
	sys_unlinkat(AT_FDCWD, name, 0);
	if (!open_handle(b, name, DB_CREATE | DB_EXCL, err))
		return false;
	b->temporary = name;
	return true;
}

/* In a directory that is not ours to write a file that is ours can still be rewritten. */
static bool
open_new(struct build *b, struct err *err)
{
	struct err in_place;

	if (open_temporary(b, err))
		return true;
	if (err->errnum != EACCES)
		return false;
	berkeley_close(&b->db);
	return open_in_place(b, DB_CREATE | DB_TRUNCATE, &in_place);
}

bool
build_open(struct arena *mem, struct str type, const char *path,
	   const struct build_options *options, struct build **build_out, struct err *err)
{
	struct build *b = ARENA_NEW(mem, struct build);
	bool ok;

	b->mem = mem;
	b->options = *options;
	b->type = berkeley_type(type);
	b->path = str_c(mem, str_printf(mem, "%s.db", path));
	b->lock_fd = -1;
	arena_defer(mem, give_up, b);
	if (options->in_place)
		ok = open_in_place(b, 0, err);
	else
		ok = open_new(b, err);
	if (!ok) {
		give_up(b);
		return false;
	}
	*build_out = b;
	return true;
}

enum build_added
build_add(struct build *b, struct str key, struct str value, struct err *err)
{
	bool with_nul = !b->options.without_nul;
	struct arena *mem = arena_new();
	DBT k = berkeley_datum(str_dup(mem, key), with_nul);
	DBT v = berkeley_datum(str_dup(mem, value), with_nul);
	bool keep = b->options.duplicate == BUILD_DUPLICATE_KEEP;
	int rc = b->db->put(b->db, NULL, &k, &v, keep ? DB_NOOVERWRITE : 0);

	arena_free(&mem);
	if (rc == 0)
		return BUILD_ADDED;
	if (rc == DB_KEYEXIST)
		return BUILD_DUPLICATE;
	err_set(err, ERR_TEMP, "write %s: %s", b->path, berkeley_text(b->db, rc));
	return BUILD_FAILED;
}

enum build_deleted
build_delete(struct build *b, struct str key, struct err *err)
{
	struct arena *mem = arena_new();
	struct str copy = str_dup(mem, key);
	DBT k = berkeley_datum(copy, true);
	int rc = b->db->del(b->db, NULL, &k, 0);

	if (rc == DB_NOTFOUND) {
		k = berkeley_datum(copy, false);
		rc = b->db->del(b->db, NULL, &k, 0);
	}
	arena_free(&mem);
	if (rc == 0)
		return BUILD_DELETED;
	if (rc == DB_NOTFOUND)
		return BUILD_NOT_THERE;
	err_set(err, ERR_TEMP, "delete from %s: %s", b->path, berkeley_text(b->db, rc));
	return BUILD_DELETE_FAILED;
}

/* The new file gets the mode and owner of the old one, else those of the options. */
static bool
take_over_attributes(const struct build *b, int fd, struct err *err)
{
	struct stat old;
	uid_t owner = b->options.owner;
	gid_t group = b->options.group;
	mode_t mode = b->options.mode;
	struct stat now;

	if (sys_fstatat(AT_FDCWD, b->path, &old, 0) == 0) {
		owner = old.st_uid;
		group = old.st_gid;
		mode = old.st_mode & 07777;
	}
	if (sys_fstat(fd, &now) != 0)
		return err_errno(err, ERR_TEMP, "look at %s", b->temporary);
	if ((owner != (uid_t)-1 && owner != now.st_uid) ||
	    (group != (gid_t)-1 && group != now.st_gid)) {
		/* Without the right to give files away the new file stays ours: its
		 * content is what counts. */
		if (fchown(fd, owner, group) != 0 && errno != EPERM)
			return err_errno(err, ERR_TEMP, "change the owner of %s",
					 b->temporary);
	}
	if (sys_fchmod(fd, mode) != 0)
		return err_errno(err, ERR_TEMP, "change the mode of %s", b->temporary);
	return true;
}

static bool
sync_directory(const struct build *b, struct err *err)
{
	struct str path = str_from(b->path);
	size_t slash = str_rindex(path, '/');
	const char *dir =
		slash == path.len ? "." : str_c(b->mem, str_head(path, slash + 1));
	int fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open directory %s", dir);
	ok = sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "write directory %s", dir);
	sys_close(fd);
	return ok;
}

static bool
rename_temporary(struct build *b, struct err *err)
{
	int fd = sys_openat(AT_FDCWD, b->temporary, O_RDWR | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open %s", b->temporary);
	ok = take_over_attributes(b, fd, err) &&
	     (sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "write %s", b->temporary));
	sys_close(fd);
	if (!ok)
		return false;
	if (sys_renameat(AT_FDCWD, b->temporary, AT_FDCWD, b->path) != 0)
		return err_errno(err, ERR_TEMP, "rename %s to %s", b->temporary, b->path);
	b->temporary = NULL;
	return sync_directory(b, err);
}

bool
build_commit(struct build *b, struct err *err)
{
	bool ok;
	int rc = b->db->sync(b->db, 0);

	if (rc != 0)
		err_set(err, ERR_TEMP, "write %s: %s", b->path, berkeley_text(b->db, rc));
	berkeley_close(&b->db);
	ok = rc == 0 && (b->temporary == NULL || rename_temporary(b, err));
	give_up(b);
	return ok;
}
