/* SPDX-License-Identifier: Apache-2.0 */
/* Beside Debian's: test/compat/test_checks.py. */
#include "mail/check_action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static const struct {
	const char *value;
	bool is_header;
	enum check_verb verb;
	const char *text;
	const char *warning;
} rows[] = {
	{"REJECT", true, CHECK_REJECT, "", ""},
	{"reject  a  b ", true, CHECK_REJECT, "a  b ", ""},
	{"OK x", false, CHECK_DUNNO, "x", ""},
	{"REJECTED", true, CHECK_DUNNO, "", "unknown command in t map: REJECTED"},
	{"", true, CHECK_DUNNO, "", "unknown command in t map: "},
	{"FILTER", true, CHECK_DUNNO, "", "missing FILTER command argument in t map"},
	{"FILTER x", true, CHECK_DUNNO, "x",
	 "bad FILTER command x in t -- need transport:destination"},
	{"FILTER x:", true, CHECK_FILTER, "x:", ""},
	{"BCC x", true, CHECK_DUNNO, "x",
	 "bad BCC address \"x\" in t map -- need user@domain"},
	{"REDIRECT x", true, CHECK_DUNNO, "x",
	 "bad REDIRECT target \"x\" in t map -- need user@domain"},
	{"REDIRECT x@", true, CHECK_REDIRECT, "x@", ""},
	{"PREPEND", false, CHECK_DUNNO, "", "PREPEND action without text in t map"},
	{"PREPEND x", false, CHECK_PREPEND, "x", ""},
	{"PREPEND x", true, CHECK_DUNNO, "x",
	 "bad PREPEND header text \"x\" in t map -- need \"headername: headervalue\""},
	{"REPLACE x: y", true, CHECK_REPLACE, "x: y", ""},
};

static void
test_actions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct check_action a = check_action_parse(
			mem, "t", str_from(rows[i].value), rows[i].is_header, CHECK_ALL);

		if (a.verb != rows[i].verb || !str_eq(a.text, str_from(rows[i].text)) ||
		    !str_eq(a.warning, str_from(rows[i].warning)))
			fail_msg("%s: %d \"%s\" \"%s\"", rows[i].value, (int)a.verb,
				 str_c(mem, a.text), str_c(mem, a.warning));
		arena_free(&mem);
	}
}

static void
test_allowed(void **state)
{
	struct arena *mem = arena_new();
	struct check_action a =
		check_action_parse(mem, "t", STR("HOLD x"), true, CHECK_ON_OUTPUT);

	(void)state;
	assert_int_equal(a.verb, CHECK_DUNNO);
	assert_true(str_eq(a.warning, STR("unsupported command in t map: HOLD x")));
	a = check_action_parse(mem, "t", STR("WARN x"), true, CHECK_ON_OUTPUT);
	assert_int_equal(a.verb, CHECK_WARN);
	arena_free(&mem);
}

static const struct {
	const char *text;
	const char *reason;
	const char *warning;
} reasons[] = {
	{"", "5.7.1 message content rejected", ""},
	{"go", "5.7.1 go", ""},
	{"4.1.2 later", "4.1.2 later", ""},
	{"2.1.2 odd", "4.1.2 odd", "bad DSN action in 2.1.2 odd -- need 4.x.x or 5.x.x"},
};

static void
test_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		struct arena *mem = arena_new();
		struct str warning;
		struct str got =
			check_action_reason(mem, str_from(reasons[i].text), &warning);

		assert_true(str_eq(got, str_from(reasons[i].reason)));
		assert_true(str_eq(warning, str_from(reasons[i].warning)));
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
