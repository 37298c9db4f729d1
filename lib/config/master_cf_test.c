/* SPDX-License-Identifier: Apache-2.0 */
#include "config/master_cf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static struct config *
defaults(struct arena *mem, const char *level)
{
	const struct config_override o = {STR("compatibility_level"), str_from(level)};
	const struct config_options options = {
		.defaults_only = true, .overrides = &o, .override_count = 1};
	struct config *cfg = NULL;
	struct err err;

	assert_true(config_load(mem, &options, &cfg, &err));
	return cfg;
}

static bool
parse(struct arena *mem, const char *text, struct master_services *out, struct err *err)
{
	return master_cf_parse(mem, defaults(mem, "3.6"), str_from(text), "master.cf",
			       out, err);
}

static void
services(void **state)
{
	struct arena *mem = arena_new();
	struct master_services all;
	const struct master_service *s;
	struct err err;

	(void)state;
	if (!parse(mem,
		   "# comment\n"
		   "smtp inet n - n - - smtpd\n"
		   "   -o a=b -o { c = d e }\n"
		   "# between\n"
		   " -v -vv -D -o a=z\n"
		   "[::1]:25 inet n - y - 5 smtpd\n"
		   "pickup unix n - n 60? 1 pickup\n"
		   "mail unix - n n - - pipe flags=DR user=v argv=/x -o ${sender} {a "
		   "b}\n",
		   &all, &err))
		fail_msg("%s", err.text);
	assert_int_equal(all.count, 4);
	assert_int_equal(all.warning_count, 0);
	s = master_cf_find(&all, STR("smtp"), MASTER_INET);
	assert_int_equal(s->line, 2);
	assert_false(s->is_private);
	assert_true(s->unprivileged);
	assert_int_equal(s->process_limit, 100);
	assert_int_equal(s->override_count, 2);
	assert_true(str_eq(s->overrides[0].value, STR("z")));
	assert_true(str_eq(s->overrides[1].name, STR("c")));
	assert_true(str_eq(s->overrides[1].value, STR("d e")));
	assert_int_equal(s->verbose, 3);
	assert_true(s->debug);
	s = &all.at[1];
	assert_true(str_eq(s->host, STR("::1")));
	assert_true(str_eq(s->port, STR("25")));
	assert_true(s->chroot);
	s = &all.at[2];
	assert_int_equal(s->wakeup_s, 60);
	assert_true(s->wakeup_if_used);
	assert_int_equal(s->process_limit, 1);
	s = &all.at[3];
	assert_int_equal(s->override_count, 0);
	assert_int_equal(s->arg_count, 6);
	assert_true(str_eq(s->args[5], STR("a b")));
	assert_false(s->unprivileged);
	arena_free(&mem);
}

static void
chroot_by_level(void **state)
{
	struct arena *mem = arena_new();
	struct master_services all;
	struct err err;

	(void)state;
	assert_true(master_cf_parse(mem, defaults(mem, "0"), STR("a unix - - - - - x\n"),
				    "f", &all, &err));
	assert_true(all.at[0].chroot);
	assert_true(master_cf_parse(mem, defaults(mem, "1"), STR("a unix - - - - - x\n"),
				    "f", &all, &err));
	assert_false(all.at[0].chroot);
	arena_free(&mem);
}

static void
errors(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
		{"\na unix - - n - -\n", "master.cf: line 2: bad field count"},
		{"a tcp - - n - - x\n", "line 1: bad transport type: tcp"},
		{"a unix x - n - - x\n", "field \"private\": bad value: \"x\""},
		{"a unix - x n - - x\n", "field \"unprivileged\": bad value: \"x\""},
		{"a unix - - q - - x\n", "field \"chroot\": bad value: \"q\""},
		{"a unix - - n 1x - x\n", "field \"wakeup\": bad value: \"1x\""},
		{"a unix - - n - -1 x\n", "field \"process_limit\": bad value: \"-1\""},
		{"a inet - - n - - x\n", "inet service cannot be private: a"},
		{"::1:25 inet n - n - - x\n", "an IPv6 address needs [ ]: ::1:25"},
		{"h: inet n - n - - x\n", "missing port: h:"},
		{"../a unix n - n - - x\n", "bad service name: ../a"},
		{"a unix n - n - - ../x\n", "must be a name in daemon_directory: ../x"},
		{"a unix n - n - - x -o\n", "-o needs an argument: x"},
		{"a unix n - n - - x -o b\n", "missing name= or '=' after -o: b"},
		{"a unix n - n - - x -o {b=c\n", "missing '}' in \"{b=c\""},
		{"a unix n - n - - x -o {b=c}d\n", "syntax error after '}'"},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct master_services all;
		struct err err;

		assert_false(parse(mem, rows[i].text, &all, &err));
		if (strstr(err.text, rows[i].error) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(err.kind, ERR_CONFIG);
	}
	arena_free(&mem);
}

static void
duplicates(void **state)
{
	struct arena *mem = arena_new();
	struct master_services all;
	struct err err;

	(void)state;
	assert_true(parse(mem,
			  "a unix n - n - - x\na inet n - n - - x\n"
			  "a unix n - n - - y\n",
			  &all, &err));
	assert_int_equal(all.count, 2);
	assert_int_equal(all.warning_count, 1);
	assert_true(str_eq(all.at[0].command, STR("y")));
	arena_free(&mem);
}

static void
disabled(void **state)
{
	static const struct {
		const char *list;
		bool off;
	} rows[] = {
		{"", false},         {"inet", true},       {"smtp", true},
		{"smtp/inet", true}, {"smtp/unix", false}, {"!smtp/inet, inet", false},
		{"unix", false},
	};
	const struct master_service s = {.type = MASTER_INET, .name = STR("smtp")};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(master_cf_disabled(str_from(rows[i].list), &s),
				 rows[i].off);
}

static void
formats(void **state)
{
	static const struct {
		const char *text;
		const char *plain;
		const char *folded;
	} rows[] = {
		{"foo unix - - n - - smtp -o a=b -o { c = d e } -v",
		 "foo        unix  -       -       n       -       -       smtp -o a=b "
		 "-o "
		 "{c=d e} -v",
		 "foo        unix  -       -       n       -       -       smtp\n    -o "
		 "a=b\n    -o {c=d e}\n    -v"},
		{"foo unix-dgram n - n - 1 postlogd",
		 "foo        unix-dgram n  -       n       -       1       postlogd",
		 "foo        unix-dgram n  -       n       -       1       postlogd"},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct master_entry e;
		struct master_fault fault;

		assert_true(master_entry_parse(mem, str_from(rows[i].text), 1, &e, NULL,
					       &fault));
		assert_string_equal(master_entry_format(mem, &e, false).p, rows[i].plain);
		assert_string_equal(master_entry_format(mem, &e, true).p, rows[i].folded);
	}
	arena_free(&mem);
}

static void
settings(void **state)
{
	struct arena *mem = arena_new();
	struct master_entry e;
	struct master_fault fault;
	struct err err;

	(void)state;
	assert_true(master_entry_parse(mem, STR("a unix - - n - - x -o b=1 -o c=2 w"), 1,
				       &e, NULL, &fault));
	assert_true(master_entry_set(mem, &e, STR("b"), STR("3"), &err));
	assert_true(master_entry_set(mem, &e, STR("new"), STR("x y"), &err));
	assert_true(master_entry_unset(&e, STR("c")));
	assert_false(master_entry_unset(&e, STR("c")));
	assert_true(str_eq(master_entry_command(mem, &e, false, 0),
			   STR("x -o b=3 -o {new=x y} w")));
	assert_true(master_entry_set_field(mem, &e, MASTER_FIELD_CHROOT, STR("y"), NULL,
					   &fault));
	assert_false(master_entry_set_field(mem, &e, MASTER_FIELD_CHROOT, STR("q"), NULL,
					    &fault));
	assert_int_equal(fault.field, MASTER_FIELD_CHROOT);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services), cmocka_unit_test(chroot_by_level),
		cmocka_unit_test(errors),   cmocka_unit_test(duplicates),
		cmocka_unit_test(disabled), cmocka_unit_test(formats),
		cmocka_unit_test(settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
