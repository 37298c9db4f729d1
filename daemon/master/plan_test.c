/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

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

/* A configuration directory that is also daemon_directory, with programs of these names.
 */
static const char *const programs[] = {"smtp",     "smtpd",   "pickup", "qmgr",
				       "error",    "spam",    "flush",  "postlogd",
				       "resolver", "saslauth"};

struct world {
	struct arena *mem;
	const char *dir;
};

static void
write_file(struct world *w, const char *name, struct str text, unsigned mode)
{
	const char *path = str_printf(w->mem, "%s/%s", w->dir, name).p;
	struct err err;

	assert_true(io_replace_file(path, text, mode, &err));
	assert_int_equal(chmod(path, mode), 0);
}

static int
set_up(void **state)
{
	struct arena *mem = arena_new();
	struct world *w = ARENA_NEW(mem, struct world);
	struct str main_cf;

	w->mem = mem;
	w->dir = mkdtemp(arena_strdup(mem, "/tmp/plan-XXXXXX"));
	assert_non_null(w->dir);
	main_cf = str_printf(mem,
			     "daemon_directory = %s\nqueue_directory = %s\n"
			     "inet_interfaces = 127.0.0.1\nworkers = 4\n"
			     "compatibility_level = 3.6\nmyhostname = m.example\n"
			     "default_process_limit = 10\n",
			     w->dir, w->dir);
	write_file(w, "main.cf", main_cf, 0644);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		write_file(w, programs[i], STR("#!/bin/true\n"), 0755);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		unlink(str_printf(w->mem, "%s/%s", w->dir, programs[i]).p);
	unlink(str_printf(w->mem, "%s/main.cf", w->dir).p);
	unlink(str_printf(w->mem, "%s/master.cf", w->dir).p);
	assert_int_equal(rmdir(w->dir), 0);
	arena_free(&w->mem);
	return 0;
}

/* One line of master.cf and what becomes of it. */
static const struct {
	const char *line;
	const char *key;     /* NULL: not run */
	const char *argv;    /* separated by blanks */
	const char *sockets; /* keys, separated by ", " */
	size_t workers;
	const char *warning;
} rows[] = {
	{"smtp inet n - y - - smtpd -o a=b", "smtp/inet",
	 "smtpd -n smtp -t inet -u -m 3 -o a=b", "inet 127.0.0.1 port 25", 4, NULL},
	{"127.0.0.2:99 inet n n n - 2 smtpd", "127.0.0.2:99/inet",
	 "smtpd -n 127.0.0.2:99 -t inet -m 1", "inet 127.0.0.2 port 99", 2, NULL},
	{"relay unix - - n - 0 smtp", "relay/unix", "smtp -n relay -t unix -u",
	 "stream private/relay", 4, NULL},
	{"pickup unix n - n 60 1 pickup", "pickup/unix", "pickup -n pickup -t unix -u",
	 "stream public/pickup", 1, NULL},
	{"pickup fifo n - n 60 1 pickup", "pickup/fifo", "pickup -n pickup -t fifo -u",
	 "stream public/pickup", 1, NULL},
	{"qmgr unix n - n 300 1 qmgr", "qmgr/unix", "qmgr -n qmgr -t unix -u",
	 "stream public/qmgr", 1, NULL},
	{"later unix - - n - - error x", "later/unix",
	 "error -n later -t unix -u -m 10 x", "stream private/later", 1, NULL},
	{"filter unix - - n - 5 spam", "filter/unix", "spam -n filter -t unix -u -m 5",
	 "stream private/filter", 1, NULL},
	{"rewrite unix - - n - - trivial-rewrite", NULL, NULL, NULL, 0, NULL},
	{"scache unix - - n - 1 scache", NULL, NULL, NULL, 0, NULL},
	{"spawn unix - n n - - spawn", NULL, NULL, NULL, 0,
	 "services that are not implemented yet and not started: spawn"},
	{"vac unix - n n - - qmqpd user=x argv=y", NULL, NULL, NULL, 0,
	 "not started: vac (qmqpd)"},
	{"x unix - - n - - nosuch", NULL, NULL, NULL, 0,
	 "service x is not started: there is no program"},
	{"smtpd pass - - n - - smtpd", "smtpd/pass", "smtpd -n smtpd -t pass -u -m 3",
	 "stream private/smtpd", 4, NULL},
};

static const char *
join(struct arena *mem, char *const *words)
{
	struct str out = STR_EMPTY;

	for (size_t i = 0; words[i] != NULL; i++)
		out = str_printf(mem, PRI_STR "%s%s", STR_ARG(out), i > 0 ? " " : "",
				 words[i]);
	return str_c(mem, out);
}

static bool
warns(const struct plan *plan, const char *text)
{
	for (size_t i = 0; i < plan->warning_count; i++) {
		if (str_find(plan->warnings[i], str_from(text)) < plan->warnings[i].len)
			return true;
	}
	return false;
}

static void
check_row(const struct plan *plan, size_t i)
{
	const struct plan_service *s;

	if (rows[i].warning != NULL) {
		if (!warns(plan, rows[i].warning))
			fail_msg("row %zu: no warning", i);
	} else {
		assert_int_equal(plan->warning_count, 0);
	}
	if (rows[i].key == NULL) {
		/* postlog, resolver, saslauth, error and retry. */
		assert_int_equal(plan->service_count, 5);
		return;
	}
	assert_int_equal(plan->service_count, 6);
	s = plan_find(plan, rows[i].key);
	assert_non_null(s);
	assert_string_equal(join(plan->mem, s->argv), rows[i].argv);
	assert_int_equal(s->workers, rows[i].workers);
	assert_int_equal(s->socket_count, 1);
	assert_string_equal(s->sockets[0].key, rows[i].sockets);
}

static void
test_rows(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct plan *plan;
		struct err err;

		write_file(w, "master.cf", str_printf(w->mem, "%s\n", rows[i].line),
			   0644);
		if (!plan_load(w->dir, &plan, &err))
			fail_msg("row %zu: %s", i, err.text);
		check_row(plan, i);
		plan_free(&plan);
	}
}

/* Without a word about it: servers use every processor; the client is one, so that a
 * connection that it keeps is found again. */
static void
test_default_workers(void **state)
{
	struct world *w = *state;
	struct plan *plan;
	struct err err;

	write_file(w, "main.cf",
		   str_printf(w->mem,
			      "daemon_directory = %s\ninet_interfaces = 127.0.0.1\n"
			      "myhostname = m.example\ndefault_process_limit = 10\n",
			      w->dir),
		   0644);
	write_file(w, "master.cf",
		   STR("smtp inet n - y - - smtpd\nrelay unix - - n - - smtp\n"), 0644);
	assert_true(plan_load(w->dir, &plan, &err));
	assert_int_equal(plan_find(plan, "smtp/inet")->workers,
			 MIN_OF(sysconf(_SC_NPROCESSORS_ONLN), 10));
	assert_int_equal(plan_find(plan, "relay/unix")->workers, 1);
	plan_free(&plan);
}

static const struct {
	const char *text, *error;
} bad[] = {
	{"x unix - - n - z error\n", "line 1"},
	{"# one\nx strange - - n - - error\n", "line 2"},
	{"../x unix - - n - - error\n", "line 1: bad service name: ../x"},
	{"a unix - - n - - error\nnosuchport inet n - n - - smtpd\n",
	 "line 2: service nosuchport: unknown service or port"},
};

static void
test_bad(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct plan *plan;
		struct err err;

		write_file(w, "master.cf", str_from(bad[i].text), 0644);
		assert_false(plan_load(w->dir, &plan, &err));
		if (strstr(err.text, bad[i].error) == NULL)
			fail_msg("row %zu: %s", i, err.text);
	}
}

/* What master.cf has is not added a second time. */
static void
test_implied(void **state)
{
	struct world *w = *state;
	struct plan *plan;
	struct err err;

	write_file(w, "master.cf",
		   STR("postlog unix-dgram n - n - 1 postlogd -v\n"
		       "retry unix - - n - - error\n"),
		   0644);
	assert_true(plan_load(w->dir, &plan, &err));
	assert_int_equal(plan->service_count, 5);
	assert_string_equal(join(plan->mem, plan_find(plan, "postlog/unix-dgram")->argv),
			    "postlogd -n postlog -t unix-dgram -u -v");
	assert_true(plan_find(plan, "postlog/unix-dgram")->sockets[0].datagram);
	assert_non_null(plan_find(plan, "error/unix"));
	assert_non_null(plan_find(plan, "resolver/unix"));
	assert_non_null(plan_find(plan, "saslauth/unix"));
	assert_null(plan_find(plan, "flush/unix"));
	plan_free(&plan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_default_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_implied, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
