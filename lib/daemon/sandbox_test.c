/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every profile is entered in a child, and the probe's lines are compared with what the
 * row says; as the user that runs the test and, for root, also as nobody.
 */
#include "daemon/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>

#include "daemon/landlock.h"
#include "daemon/profile.h"

enum { NOBODY = 65534 };

struct world {
	struct arena *mem;
	const char *dir;
	struct sandbox_paths paths;
};

static const char *const queue_dirs[] = {
	"maildrop", "incoming", "active", "deferred", "hold",    "corrupt", "bounce",
	"defer",    "trace",    "flush",  "journal",  "private", "pid",     "public",
};

static const char *
make_dir(struct world *w, const char *parent, const char *name)
{
	const char *path = str_printf(w->mem, "%s/%s", parent, name).p;

	assert_int_equal(mkdir(path, 0777), 0);
	/* Whatever the umask is: nobody shall be able to write here too. */
	assert_int_equal(chmod(path, 0777), 0);
	return path;
}

static int
set_up(void **state)
{
	struct arena *mem = arena_new();
	struct world *w = ARENA_NEW(mem, struct world);
	char *dir = arena_strdup(mem, "/tmp/sandbox-XXXXXX");
	struct err err;

	w->mem = mem;
	w->dir = mkdtemp(dir);
	assert_non_null(w->dir);
	assert_int_equal(chmod(w->dir, 0777), 0);
	w->paths.queue_directory = make_dir(w, w->dir, "queue");
	w->paths.config_directory = make_dir(w, w->dir, "config");
	w->paths.data_directory = make_dir(w, w->dir, "data");
	for (size_t i = 0; i < ARRAY_LEN(queue_dirs); i++)
		make_dir(w, w->paths.queue_directory, queue_dirs[i]);
	assert_true(io_replace_file(
		str_printf(mem, "%s/main.cf", w->paths.config_directory).p,
		STR("a = b\n"), 0644, &err));
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char *argv[] = {arena_strdup(w->mem, "rm"), arena_strdup(w->mem, "-rf"),
			arena_strdup(w->mem, w->dir), NULL};
	pid_t pid = fork();

	if (pid == 0) {
		execvp("rm", argv);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	arena_free(&w->mem);
	return 0;
}

/* Every line must say what it saw and the same as expected, or untested. */
static size_t
check_lines(const char *profile, struct str text)
{
	struct str line, name, seen, expected;
	size_t tested = 0;

	while (str_line(&text, &line)) {
		assert_true(str_token(&line, " ", &name));
		assert_true(str_token(&line, " ", &seen));
		assert_true(str_token(&line, " ", &expected));
		if (str_eq(seen, STR("untested")))
			continue;
		if (!str_eq(seen, expected))
			fail_msg("%s: " PRI_STR " is " PRI_STR ", expected " PRI_STR,
				 profile, STR_ARG(name), STR_ARG(seen),
				 STR_ARG(expected));
		tested++;
	}
	return tested;
}

static void
probe(struct world *w, enum sandbox_profile profile, uid_t uid)
{
	const char *name = profile_get(profile)->name;
	const char *file = str_printf(w->mem, "%s/%s.%d", w->dir, name, (int)uid).p;
	struct str text;
	struct err err;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (uid != getuid() && (setgid(uid) != 0 || setuid(uid) != 0))
			_exit(90);
		/* Changing users hides the process from itself. */
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		setenv("HIKYAKU_PROBE", file, 1);
		if (chdir(w->paths.queue_directory) != 0)
			_exit(91);
		sandbox_probe(profile, &w->paths);
		_exit(92);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(io_read_file(w->mem, AT_FDCWD, file, 100000, &text, &err));
	assert_true(check_lines(name, text) >= 30);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_probe(void **state)
{
	for (int i = 0; i < SANDBOX_PROFILES; i++) {
		enum sandbox_profile profile = (enum sandbox_profile)i;

		if (!profile_confines(profile_get(profile)))
			continue;
		probe(*state, profile, getuid());
		if (getuid() == 0)
			probe(*state, profile, NOBODY);
	}
}

/* Kernels older than this one: what is left must still be entered. */
static void
test_old_kernels(void **state)
{
	struct world *w = *state;

	for (int version = 1; version <= landlock_version(); version++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			const char *missing;
			struct err err;
			enum landlock_result r;

			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			r = landlock_enter(profile_get(SANDBOX_showq), &w->paths, version,
					   &missing, &err);
			if (r != (version < 6 ? LANDLOCK_PARTIAL : LANDLOCK_FULL))
				_exit(1);
			if (open("/etc/passwd", O_RDONLY) >= 0)
				_exit(2);
			_exit(open(w->paths.data_directory, O_RDONLY) >= 0 ? 3 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* Version 1 would forbid moving files between directories: no file rules then. */
static void
test_mover_on_first_version(void **state)
{
	struct world *w = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const char *missing;
		struct err err;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (landlock_enter(profile_get(SANDBOX_qmgr), &w->paths, 1, &missing,
				   &err) != LANDLOCK_ABSENT)
			_exit(1);
		_exit(strcmp(missing, "rules for files, TCP and signals") == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct {
	const char *profile, *dir;
	bool read, change;
} rows[] = {
	{"smtp", "active", false, false},      {"error", "incoming", false, false},
	{"discard", "incoming", false, false}, {"pickup", "maildrop", true, true},
	{"pickup", "incoming", false, false},  {"cleanup", "incoming", true, true},
	{"cleanup", "deferred", false, false}, {"qmgr", "deferred", true, true},
	{"qmgr", "maildrop", false, false},    {"bounce", "active", true, false},
	{"bounce", "defer", true, true},       {"showq", "deferred", true, false},
	{"master", "anything", true, true},
};

static void
test_rows(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum sandbox_profile which;

		assert_true(profile_find(rows[i].profile, &which));
		assert_int_equal(profile_allows(profile_get(which), rows[i].dir, false),
				 rows[i].read);
		assert_int_equal(profile_allows(profile_get(which), rows[i].dir, true),
				 rows[i].change);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test_setup_teardown(test_probe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_kernels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mover_on_first_version, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
