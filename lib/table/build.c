/* SPDX-License-Identifier: Apache-2.0 */
#include "table/build.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/sys.h"

#include "table/build_internal.h"

static void
give_up(void *p)
{
	struct build *b = p;

	if (b->state != NULL)
		b->type->build->close(b);
	b->state = NULL;
	if (b->temporary != NULL)
		sys_unlinkat(AT_FDCWD, b->temporary, 0);
	b->temporary = NULL;
}

/* A name that nobody else has. */
static bool
open_temporary(struct build *b, struct err *err)
{
	char *name =
		str_c(b->mem, str_printf(b->mem, "%s.new.%ld", b->path, (long)getpid()));
	int fd;

	/* Left by a process of the same number that did not end well. */
	sys_unlinkat(AT_FDCWD, name, 0);
	fd = sys_openat(AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			b->options.mode);
	if (fd < 0)
		return err_errno(err, ERR_PERM, "open database %s", b->path);
	sys_close(fd);
	b->temporary = name;
	return b->type->build->open(b, name, BUILD_NEW, err);
}

/* In a directory that is not ours to write a file that is ours can still be rewritten. */
static bool
open_new(struct build *b, struct err *err)
{
	struct err in_place;

	if (open_temporary(b, err))
		return true;
	if (err->errnum != EACCES || b->temporary != NULL || !b->type->build->in_place)
		return false;
	return b->type->build->open(b, b->path, BUILD_REWRITE, &in_place);
}

bool
build_open(struct arena *mem, struct str type, const char *path,
	   const struct build_options *options, struct build **build_out, struct err *err)
{
	struct build *b = ARENA_NEW(mem, struct build);
	bool ok;

	b->mem = mem;
	b->options = *options;
	b->type = table_type_find(type);
	ensure(b->type != NULL && b->type->build != NULL);
	b->path = str_c(mem, str_printf(mem, "%s%s", path, b->type->build->suffix));
	arena_defer(mem, give_up, b);
	if (!options->in_place)
		ok = open_new(b, err);
	else if (b->type->build->in_place)
		ok = b->type->build->open(b, b->path, BUILD_CHANGE, err);
	else
		ok = err_set(err, ERR_PERM,
			     "%s: a %s: table cannot be changed, only made anew", b->path,
			     b->type->name);
	if (!ok) {
		give_up(b);
		return false;
	}
	*build_out = b;
	return true;
}

/* A copy, with the NUL that every copy has, or without. */
static struct str
stored(struct arena *mem, struct str s, bool with_nul)
{
	struct str copy = str_dup(mem, s);

	if (with_nul)
		copy.len++;
	return copy;
}

static bool
uses_nul(const struct build *b)
{
	return b->options.nul == BUILD_NUL_DEFAULT ? b->type->build->with_nul
						   : b->options.nul == BUILD_NUL_WITH;
}

static enum build_added
put(struct build *b, struct str key, struct str value, bool replace, struct err *err)
{
	struct arena *mem = arena_new();
	bool with_nul = uses_nul(b);
	enum build_added result;

	result = b->type->build->put(b, stored(mem, key, with_nul),
				     stored(mem, value, with_nul), replace, err);
	arena_free(&mem);
	return result;
}

enum build_added
build_add(struct build *b, struct str key, struct str value, struct err *err)
{
	return put(b, key, value, b->options.duplicate == BUILD_DUPLICATE_REPLACE, err);
}

bool
build_replace(struct build *b, struct str key, struct str value, struct err *err)
{
	return put(b, key, value, true, err) == BUILD_ADDED;
}

enum build_deleted
build_delete(struct build *b, struct str key, struct err *err)
{
	struct arena *mem = arena_new();
	enum build_deleted result;

	/* Nobody knows how the file was made. */
	result = b->type->build->remove(b, stored(mem, key, true), err);
	if (result == BUILD_NOT_THERE)
		result = b->type->build->remove(b, stored(mem, key, false), err);
	arena_free(&mem);
	return result;
}

const char *
build_path(const struct build *b)
{
	return b->path;
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
	bool ok = b->type->build->finish(b, err);

	b->type->build->close(b);
	b->state = NULL;
	ok = ok && (b->temporary == NULL || rename_temporary(b, err));
	give_up(b);
	return ok;
}
