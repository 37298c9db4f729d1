/* SPDX-License-Identifier: Apache-2.0 */
#include "logfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"

static const struct {
	const char *datagram;
	const char *file;
} rows[] = {
	{"one line", "one line\n"},
	{"one line\n", "one line\n"},
	{"two\nlines", "two\nlines\n"},
	{"\n\nempty\n\nones\n\n", "empty\nones\n"},
	{"", ""},
	{"bell\a tab\t del\x7f", "bell? tab? del?\n"},
	{"caf\xc3\xa9", "caf\xc3\xa9\n"},
};

static const char *
temporary(struct arena *mem)
{
	char *path = arena_strdup(mem, "/tmp/logfile-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	return path;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		const char *path = temporary(mem);
		struct logfile f;
		struct str text;
		struct err err;

		assert_true(logfile_open(&f, path, "host", &err));
		logfile_add(&f, str_from(rows[i].datagram));
		logfile_flush(&f);
		assert_true(io_read_file(mem, AT_FDCWD, path, 10000, &text, &err));
		assert_string_equal(str_c(mem, text), rows[i].file);
		logfile_release(&f);
		unlink(path);
		arena_free(&mem);
	}
}

/* More than a batch is written without being asked for. */
static void
test_many(void **state)
{
	struct arena *mem = arena_new();
	const char *path = temporary(mem);
	struct logfile f;
	struct str text;
	struct err err;

	(void)state;
	assert_true(logfile_open(&f, path, "host", &err));
	for (int i = 0; i < 5000; i++) {
		struct str line = str_printf(mem,
					     "line %d of a length that adds up to "
					     "more than one batch does hold",
					     i);

		logfile_add(&f, line);
	}
	assert_true(lseek(f.fd, 0, SEEK_END) > 0);
	logfile_release(&f);
	assert_true(io_read_file(mem, AT_FDCWD, path, 1000000, &text, &err));
	for (int i = 0; i < 5000; i++) {
		struct str line;
		struct str start = str_printf(mem, "line %d of", i);

		assert_true(str_line(&text, &line));
		assert_true(str_starts(line, start));
	}
	assert_int_equal(text.len, 0);
	unlink(path);
	arena_free(&mem);
}

/* What could not be written is told of when it can be again. */
static void
test_lost(void **state)
{
	struct arena *mem = arena_new();
	const char *path = temporary(mem);
	struct logfile f;
	struct str text;
	struct err err;
	int good;

	(void)state;
	assert_true(logfile_open(&f, path, "host", &err));
	good = f.fd;
	f.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f.fd >= 0);
	logfile_add(&f, STR("a\nb\nc"));
	logfile_flush(&f);
	close(f.fd);
	f.fd = good;
	logfile_add(&f, STR("d"));
	logfile_flush(&f);
	logfile_add(&f, STR("e"));
	logfile_release(&f);
	assert_true(io_read_file(mem, AT_FDCWD, path, 10000, &text, &err));
	assert_non_null(strstr(str_c(mem, text), " host postfix/postlogd["));
	assert_non_null(strstr(str_c(mem, text),
			       "warning: 3 log lines were lost: No space left on "
			       "device\nd\ne\n"));
	unlink(path);
	arena_free(&mem);
}

static void
test_new_file_is_private(void **state)
{
	struct arena *mem = arena_new();
	const char *path = temporary(mem);
	struct logfile f;
	struct stat st;
	struct err err;

	(void)state;
	unlink(path);
	assert_true(logfile_open(&f, path, "host", &err));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	logfile_release(&f);
	assert_false(logfile_open(&f, "/nonexistent/log", "host", &err));
	assert_string_equal(err.text, "open logfile '/nonexistent/log': No such file or "
				      "directory");
	unlink(path);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_new_file_is_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
