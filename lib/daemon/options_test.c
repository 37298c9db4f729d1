/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"

enum { ARGS_MAX = 12 };

static const struct {
	const char *argv[ARGS_MAX];
	const char *error; /* NULL: accepted */
	const char *service;
	const char *override; /* "name=value" of the last -o */
	const char *first_arg;
	int sockets, sessions;
	unsigned verbose;
	bool unprivileged;
} rows[] = {
	{.argv = {"smtp"}, .sockets = 1},
	{.argv = {"smtp", "-n", "relay", "-t", "unix", "-u"},
	 .service = "relay",
	 .sockets = 1,
	 .unprivileged = true},
	{.argv = {"smtp", "-nrelay", "-m", "50", "-s3", "-vv", "-v"},
	 .service = "relay",
	 .sockets = 3,
	 .sessions = 50,
	 .verbose = 3},
	{.argv = {"smtp", "-uvn", "x"},
	 .service = "x",
	 .sockets = 1,
	 .verbose = 1,
	 .unprivileged = true},
	{.argv = {"smtp", "-o", " a = b c "}, .override = "a=b c", .sockets = 1},
	{.argv = {"smtp", "-o", "a=b=c"}, .override = "a=b=c", .sockets = 1},
	{.argv = {"smtp", "-o", "a="}, .override = "a=", .sockets = 1},
	{.argv = {"pipe", "-c", "-l", "flags=R", "-x"},
	 .first_arg = "flags=R",
	 .sockets = 1},
	{.argv = {"x", "-s", "0", "--", "-v"}, .first_arg = "-v"},
	{.argv = {"smtp", "-o", "a"}, .error = "missing '=' after parameter name: a"},
	{.argv = {"smtp", "-o", " =b"}, .error = "missing parameter name"},
	{.argv = {"smtp", "-n"}, .error = "option -n needs a value"},
	{.argv = {"smtp", "-s", "201"}, .error = "bad value of option -s: 201"},
	{.argv = {"smtp", "-m", "-1"}, .error = "bad value of option -m: -1"},
	{.argv = {"smtp", "-y"}, .error = "unknown option: -y"},
};

static bool
parse(struct arena *mem, size_t row, struct daemon_options *o, struct err *err)
{
	char *argv[ARGS_MAX + 1] = {NULL};
	int argc = 0;

	while (argc < ARGS_MAX && rows[row].argv[argc] != NULL) {
		argv[argc] = arena_strdup(mem, rows[row].argv[argc]);
		argc++;
	}
	return daemon_options_parse(mem, argc, argv, o, err);
}

static void
check_accepted(struct arena *mem, size_t i, const struct daemon_options *o)
{
	struct str setting = STR_EMPTY;

	if (o->override_count > 0) {
		const struct config_override *last = &o->overrides[o->override_count - 1];

		setting = str_printf(mem, PRI_STR "=" PRI_STR, STR_ARG(last->name),
				     STR_ARG(last->value));
	}
	assert_int_equal(o->sockets, rows[i].sockets);
	assert_int_equal(o->max_sessions, rows[i].sessions);
	assert_int_equal(o->verbose, rows[i].verbose);
	assert_int_equal(o->unprivileged, rows[i].unprivileged);
	assert_true(str_eq(str_from(o->service), str_from(rows[i].service)));
	assert_true(str_eq(setting, str_from(rows[i].override)));
	assert_true(str_eq(str_from(o->args[0]), str_from(rows[i].first_arg)));
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct daemon_options o;
		struct err err;
		bool ok = parse(mem, i, &o, &err);

		if (rows[i].error == NULL) {
			assert_true(ok);
			check_accepted(mem, i, &o);
		} else {
			assert_false(ok);
			assert_non_null(strstr(err.text, rows[i].error));
		}
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
