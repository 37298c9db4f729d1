/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/masterlock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/str.h"

/* Another process, because a lock does not keep out its owner. */
static enum masterlock_state
look(const char *path, pid_t *pid_out)
{
	int ends[2];
	int status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct err err;
		pid_t pid = -1;
		enum masterlock_state state = masterlock_look(path, &pid, &err);

		if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(99);
		_exit((int)state);
	}
	assert_int_equal(read(ends[0], pid_out, sizeof(*pid_out)), sizeof(*pid_out));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	close(ends[0]);
	close(ends[1]);
	return (enum masterlock_state)WEXITSTATUS(status);
}

static void
test_life(void **state)
{
	struct arena *mem = arena_new();
	const char *dir = mkdtemp(arena_strdup(mem, "/tmp/lock-XXXXXX"));
	const char *path = str_printf(mem, "%s/master.pid", dir).p;
	struct str text;
	struct err err;
	pid_t pid;
	int fd;
	int second;

	(void)state;
	assert_int_equal(look(path, &pid), MASTERLOCK_FREE);
	assert_true(masterlock_take(path, (uid_t)-1, &fd, &err));
	assert_int_equal(look(path, &pid), MASTERLOCK_HELD);
	assert_int_equal(pid, 0);
	assert_true(masterlock_write(fd, path, &err));
	assert_int_equal(look(path, &pid), MASTERLOCK_HELD);
	assert_int_equal(pid, getpid());
	assert_true(io_read_file(mem, AT_FDCWD, path, 100, &text, &err));
	assert_string_equal(str_c(mem, text), str_printf(mem, "%32d\n", (int)getpid()).p);
	assert_false(masterlock_take(path, (uid_t)-1, &second, &err));
	assert_non_null(strstr(err.text, "unable to set exclusive lock"));
	close(fd);
	/* A file that a dead master left says nothing. */
	assert_int_equal(look(path, &pid), MASTERLOCK_FREE);
	assert_true(masterlock_take(path, (uid_t)-1, &fd, &err));
	close(fd);
	unlink(path);
	/* In a directory of somebody else a link could lead anywhere. */
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	assert_false(masterlock_take(path, (uid_t)-1, &fd, &err));
	unlink(path);
	rmdir(dir);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_life)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
