/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sys.h"

bool
io_write_all(int fd, struct str s, const char *what, struct err *err)
{
	while (s.len > 0) {
		ssize_t n = sys_write(fd, s.p, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_TEMP, "write %s", what);
		s = str_skip(s, (size_t)n);
	}
	return true;
}

bool
io_read_all(struct arena *mem, int fd, size_t max_bytes, const char *what,
	    struct str *out, struct err *err)
{
	/* One more than allowed, to see that there is more. */
	struct buf *b = buf_new(mem, max_bytes + 1);
	struct stat st;
	size_t step = 8192;

	if (sys_fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size < max_bytes)
		step = (size_t)st.st_size + 1;
	for (;;) {
		size_t room = MIN_OF(step, b->max_bytes - b->len);
		char *at = room == 0 ? NULL : buf_reserve(b, room);
		ssize_t n;

		if (at == NULL)
			return err_set(err, ERR_PERM, "%s: larger than %zu bytes", what,
				       max_bytes);
		n = sys_read(fd, at, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_TEMP, "read %s", what);
		if (n == 0)
			break;
		buf_commit(b, (size_t)n);
	}
	*out = buf_str(b);
	return true;
}

bool
io_read_file(struct arena *mem, int dirfd, const char *path, size_t max_bytes,
	     struct str *out, struct err *err)
{
	int fd = sys_openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open %s", path);
	ok = io_read_all(mem, fd, max_bytes, path, out, err);
	sys_close(fd);
	return ok;
}

static bool
sync_directory_of(struct arena *mem, const char *path, struct err *err)
{
	struct str p = str_from(path);
	size_t slash = str_rindex(p, '/');
	const char *dir = slash == p.len ? "."
			  : slash == 0   ? "/"
					 : str_c(mem, str_head(p, slash));
	int fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open directory %s", dir);
	ok = sys_fsync(fd) == 0 || err_errno(err, ERR_TEMP, "sync directory %s", dir);
	sys_close(fd);
	return ok;
}

static bool
write_synced(int fd, const char *path, const char *temporary, struct str content,
	     unsigned mode, struct err *err)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) == 0) {
		mode = st.st_mode & 07777;
		/* Only root can give a file away; others keep their own. */
		IGNORE(fchown(fd, st.st_uid, st.st_gid) < 0);
	}
	if (sys_fchmod(fd, mode) < 0)
		return err_errno(err, ERR_TEMP, "chmod %s", temporary);
	if (!io_write_all(fd, content, temporary, err))
		return false;
	if (sys_fsync(fd) < 0)
		return err_errno(err, ERR_TEMP, "sync %s", temporary);
	return true;
}

bool
io_replace_file(const char *path, struct str content, unsigned mode, struct err *err)
{
	struct arena *mem = arena_new();
	struct str tmp = str_printf(mem, "%s.tmp.%d", path, (int)getpid());
	int fd = sys_openat(AT_FDCWD, tmp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			    0600);
	bool ok;

	if (fd < 0) {
		ok = err_errno(err, ERR_TEMP, "create %s", tmp.p);
	} else {
		ok = write_synced(fd, path, tmp.p, content, mode, err);
		if (sys_close(fd) < 0 && ok)
			ok = err_errno(err, ERR_TEMP, "close %s", tmp.p);
		if (ok && sys_renameat(AT_FDCWD, tmp.p, AT_FDCWD, path) < 0)
			ok = err_errno(err, ERR_TEMP, "rename %s to %s", tmp.p, path);
		if (!ok)
			IGNORE(sys_unlinkat(AT_FDCWD, tmp.p, 0) < 0);
		else
			ok = sync_directory_of(mem, path, err);
	}
	arena_free(&mem);
	return ok;
}
