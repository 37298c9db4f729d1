/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/masterlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "base/sys.h"

enum { PID_TEXT = 64 };

static int
open_as(const char *path, uid_t owner)
{
	bool change = owner != (uid_t)-1 && geteuid() == 0;
	int fd;
	int saved;

	if (change && seteuid(owner) != 0)
		return -1;
	fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	saved = errno;
	if (change && seteuid(0) != 0) {
		close(fd);
		return -1;
	}
	errno = saved;
	return fd;
}

bool
masterlock_take(const char *path, uid_t owner, int *fd_out, struct err *err)
{
	int fd = open_as(path, owner);

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "open lock file %s: cannot open file",
				 path);
	if (sys_flock(fd, LOCK_EX | LOCK_NB) != 0) {
		err_errno(err, ERR_TEMP,
			  "open lock file %s: unable to set exclusive lock", path);
		sys_close(fd);
		return false;
	}
	*fd_out = fd;
	return true;
}

bool
masterlock_write(int fd, const char *path, struct err *err)
{
	char text[PID_TEXT];
	int n = snprintf(text, sizeof(text), "%32d\n", (int)getpid());

	if (sys_ftruncate(fd, 0) != 0 || sys_pwrite(fd, text, (size_t)n, 0) != n)
		return err_errno(err, ERR_TEMP, "write lock file %s", path);
	return true;
}

static pid_t
pid_in(int fd)
{
	char text[PID_TEXT];
	ssize_t n = sys_pread(fd, text, sizeof(text), 0);
	int64_t pid;

	if (n <= 0 ||
	    !str_to_i64(str_trim(str_from_mem(text, (size_t)n)), 1, INT32_MAX, &pid))
		return 0;
	return (pid_t)pid;
}

enum masterlock_state
masterlock_look(const char *path, pid_t *pid_out, struct err *err)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	enum masterlock_state state = MASTERLOCK_FREE;

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return MASTERLOCK_FREE;
		err_errno(err, ERR_TEMP, "open %s", path);
		return MASTERLOCK_FAILED;
	}
	/* Shared, so that two who look at the same time do not see each other. */
	if (sys_flock(fd, LOCK_SH | LOCK_NB) != 0) {
		state = errno == EWOULDBLOCK ? MASTERLOCK_HELD : MASTERLOCK_FAILED;
		if (state == MASTERLOCK_FAILED)
			err_errno(err, ERR_TEMP, "lock %s", path);
	}
	if (state == MASTERLOCK_HELD)
		*pid_out = pid_in(fd);
	sys_close(fd);
	return state;
}
