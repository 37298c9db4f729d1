/* SPDX-License-Identifier: Apache-2.0 */
#include "lists.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/macros.h"

#include "fiber/fiber.h"
#include "fiber/loop.h"

struct fixture {
	struct arena *mem;
	char root[64];
	struct queue_dirs dirs;
	struct lists l;
	bool done;
	void (*body)(struct fixture *f);
};

/* ---- a queue with files ---- */

static void
put(struct fixture *f, const char *path, unsigned mode, const char *text)
{
	int fd = openat(f->dirs.root, path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	struct err err;

	assert_true(fd >= 0);
	assert_true(io_write_all(fd, str_from(text), path, &err));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
set_times(struct fixture *f, const char *path, time_t read, time_t written)
{
	const struct timespec t[2] = {{.tv_sec = read}, {.tv_sec = written}};

	assert_int_equal(utimensat(f->dirs.root, path, t, 0), 0);
}

/* The mode, 0 where there is no such file. */
static unsigned
mode_of(struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(f->dirs.root, path, &st, 0) == 0 ? st.st_mode & 07777 : 0;
}

static time_t
written(struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->dirs.root, path, &st, 0), 0);
	return st.st_mtime;
}

static const char *
content(struct fixture *f, const char *path)
{
	struct str text;
	struct err err;

	assert_true(io_read_file(f->mem, f->dirs.root, path, 1 << 20, &text, &err));
	return text.p;
}

static void
in_fiber(void *arg)
{
	struct fixture *f = arg;

	f->body(f);
	f->done = true;
}

static void
run(void (*body)(struct fixture *f))
{
	struct fixture f = {.mem = arena_new(), .body = body};
	struct err err;
	int fd;

	strcpy(f.root, "/tmp/flush-test-XXXXXX");
	assert_non_null(mkdtemp(f.root));
	fd = open(f.root, O_RDONLY | O_DIRECTORY);
	for (int q = 0; q < QUEUE_NAMES; q++)
		assert_int_equal(
			mkdirat(fd, queue_directory_name((enum queue_name)q), 0700), 0);
	assert_int_equal(mkdirat(fd, "deferred/A", 0700), 0);
	assert_true(queue_dirs_init(&f.dirs, fd, STR("deferred flush"), 1, false, &err));
	f.l = (struct lists){.dirs = &f.dirs,
			     .loop = loop_new(),
			     .log = log_new("test/flush"),
			     .refresh_s = 3600,
			     .purge_s = 86400};
	log_to_fd(f.l.log, open("/dev/null", O_WRONLY), "host");
	assert_non_null(fiber_spawn(f.l.loop, "test", in_fiber, &f));
	loop_run(f.l.loop);
	assert_true(f.done);
	loop_free(&f.l.loop);
	log_free(&f.l.log);
	close(fd);
	assert_int_equal(system(str_printf(f.mem, "rm -r %s", f.root).p), 0);
	arena_free(&f.mem);
}

/* ---- one message ---- */

static void
make_due(struct fixture *f)
{
	static const struct {
		const char *before, *after;
		unsigned mode, wanted;
		bool found;
	} rows[] = {
		{"deferred/A/ABCDE1", "incoming/ABCDE1", 0700, 0740, true},
		{"incoming/ABCDE1", "incoming/ABCDE1", 0700, 0740, true},
		{"deferred/A/ABCDE1", "incoming/ABCDE1", 0710, 0750, true},
		{"deferred/A/ABCDE1", "deferred/A/ABCDE1", 0600, 0600, false},
		{"hold/ABCDE1", "hold/ABCDE1", 0700, 0700, false},
		{"active/ABCDE1", "active/ABCDE1", 0700, 0700, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = !rows[i].found;
		struct err err;

		put(f, rows[i].before, rows[i].mode, "x");
		set_times(f, rows[i].before, 1000, 1000);
		assert_true(lists_make_due(&f->l, STR("ABCDE1"), DUE_WHATEVER_IS_DOWN,
					   &found, &err));
		assert_int_equal(found, rows[i].found);
		assert_int_equal(mode_of(f, rows[i].after), rows[i].wanted);
		assert_int_equal(written(f, rows[i].after) > 1000, found);
		assert_int_equal(unlinkat(f->dirs.root, rows[i].after, 0), 0);
	}
}

static void
make_due_as_usual(struct fixture *f)
{
	struct err err;

	put(f, "deferred/A/ABCDE1", 0700, "x");
	assert_true(lists_make_due(&f->l, STR("ABCDE1"), DUE_AS_USUAL, NULL, &err));
	assert_int_equal(mode_of(f, "incoming/ABCDE1"), 0700);
}

/* ---- lists ---- */

static void
add_and_send(struct fixture *f)
{
	bool full = true;
	struct err err;

	put(f, "deferred/A/ABCDE1", 0700, "x");
	put(f, "deferred/A/ABCDE2", 0700, "x");
	put(f, "deferred/A/ABCDE3", 0700, "x");
	assert_true(lists_add(&f->l, STR("e_org"), STR("ABCDE1"), &full, &err));
	assert_false(full);
	assert_true(lists_add(&f->l, STR("e_org"), STR("ABCDE3"), &full, &err));
	assert_true(lists_add(&f->l, STR("e_org"), STR("ABCDE1"), &full, &err));
	assert_string_equal(content(f, "flush/e/e_org"), "ABCDE1\nABCDE3\nABCDE1\n");
	assert_true(lists_send(&f->l, STR("e_org"), DUE_WHATEVER_IS_DOWN, &err));
	assert_int_equal(mode_of(f, "incoming/ABCDE1"), 0740);
	assert_int_equal(mode_of(f, "deferred/A/ABCDE2"), 0700);
	assert_int_equal(mode_of(f, "incoming/ABCDE3"), 0740);
	assert_string_equal(content(f, "flush/e/e_org"), "");
	assert_true(lists_send(&f->l, STR("other"), DUE_AS_USUAL, &err));
}

static void
add_one(void *arg)
{
	struct fixture *f = arg;
	bool full;
	struct err err;

	assert_true(lists_add(&f->l, STR("e_org"), STR("ABCDE9"), &full, &err));
}

/* What is added during the sending stays. */
static void
add_meanwhile(struct fixture *f)
{
	struct err err;

	for (int i = 0; i < 200; i++) {
		struct str id = str_printf(f->mem, "AAAAA%d", i);
		bool full;

		put(f, str_printf(f->mem, "deferred/A/" PRI_STR, STR_ARG(id)).p, 0700,
		    "x");
		assert_true(lists_add(&f->l, STR("e_org"), id, &full, &err));
	}
	assert_non_null(fiber_spawn(f->l.loop, "add", add_one, f));
	assert_true(lists_send(&f->l, STR("e_org"), DUE_AS_USUAL, &err));
	assert_string_equal(content(f, "flush/e/e_org"), "ABCDE9\n");
	assert_int_equal(mode_of(f, "incoming/AAAAA0"), 0700);
	assert_int_equal(mode_of(f, "incoming/AAAAA199"), 0700);
}

static void
send_other(void *arg)
{
	struct fixture *f = arg;
	struct err err;

	assert_true(lists_send(&f->l, STR("e_org"), DUE_AS_USUAL, &err));
}

static void
send_twice_at_once(struct fixture *f)
{
	struct err err;
	bool full;

	for (int i = 0; i < 200; i++)
		assert_true(lists_add(&f->l, STR("e_org"),
				      str_printf(f->mem, "AAAAA%d", i), &full, &err));
	assert_non_null(fiber_spawn(f->l.loop, "send", send_other, f));
	assert_true(lists_send(&f->l, STR("e_org"), DUE_AS_USUAL, &err));
	assert_string_equal(content(f, "flush/e/e_org"), "");
}

static void
refresh(struct fixture *f)
{
	time_t now = time(NULL);
	struct err err;

	assert_int_equal(mkdirat(f->dirs.root, "flush/e", 0700), 0);
	put(f, "deferred/A/ABCDE1", 0700, "x");
	put(f, "deferred/A/ABCDE2", 0700, "x");
	put(f, "flush/e/e_unread", 0600, "ABCDE1\n");
	set_times(f, "flush/e/e_unread", now - 3700, now);
	put(f, "flush/e/e_read", 0600, "ABCDE2\n");
	set_times(f, "flush/e/e_read", now - 3500, now - 90000);
	put(f, "flush/e/e_empty", 0600, "");
	set_times(f, "flush/e/e_empty", now, now - 86500);
	put(f, "flush/e/e_fresh", 0600, "");
	set_times(f, "flush/e/e_fresh", now - 90000, now - 86000);

	assert_true(lists_refresh(&f->l, false, &err));
	assert_int_equal(mode_of(f, "incoming/ABCDE1"), 0700);
	assert_string_equal(content(f, "flush/e/e_unread"), "");
	assert_int_equal(mode_of(f, "deferred/A/ABCDE2"), 0700);
	assert_int_equal(mode_of(f, "flush/e/e_empty"), 0);
	assert_int_equal(mode_of(f, "flush/e/e_fresh"), 0600);

	assert_true(lists_refresh(&f->l, true, &err));
	assert_int_equal(mode_of(f, "incoming/ABCDE2"), 0700);
}

#define TEST(name)                                                                       \
	static void test_##name(void **state)                                            \
	{                                                                                \
		(void)state;                                                             \
		run(name);                                                               \
	}
TEST(make_due)
TEST(make_due_as_usual)
TEST(add_and_send)
TEST(add_meanwhile)
TEST(send_twice_at_once)
TEST(refresh)
#undef TEST

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_due),
		cmocka_unit_test(test_make_due_as_usual),
		cmocka_unit_test(test_add_and_send),
		cmocka_unit_test(test_add_meanwhile),
		cmocka_unit_test(test_send_twice_at_once),
		cmocka_unit_test(test_refresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
