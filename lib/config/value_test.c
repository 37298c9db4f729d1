/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/macros.h"
#include "config/param.h"

static void
times(void **state)
{
	static const struct {
		const char *text;
		char unit;
		int64_t seconds; /* -1: not a time */
	} rows[] = {
		{"0", 's', 0},
		{"10", 's', 10},
		{"10", 'd', 864000},
		{"10s", 'd', 10},
		{"3m", 's', 180},
		{"2h", 's', 7200},
		{"5d", 's', 432000},
		{"1w", 's', 604800},
		{"5days", 's', 432000},
		{"5D", 's', 432000},
		{"", 's', -1},
		{"-1", 's', -1},
		{"x", 's', -1},
		{"1x", 's', -1},
		{"2147483647", 's', 2147483647},
		{"2147483648", 's', -1},
		{"2147483647", 'm', -1},
		{"99999999999999999999", 's', -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t n = -1;
		bool ok = value_time(str_from(rows[i].text), rows[i].unit, &n);

		if (ok != (rows[i].seconds >= 0) || n != rows[i].seconds)
			fail_msg("%s: %lld", rows[i].text, (long long)n);
	}
}

static void
lists(void **state)
{
	static const struct {
		const char *list;
		const char *items; /* each followed by | */
	} rows[] = {
		{"", ""},
		{" , ", ""},
		{"a, b\tc,,d\n", "a|b|c|d|"},
		{"a {b, c} d", "a|{b, c}|d|"},
		{"inline:{a=b, {c = d e}} x", "inline:{a=b, {c = d e}}|x|"},
		{"{ {a} b } c", "{ {a} b }|c|"},
		{"a } b", "a|}|b|"},
		{"a {b c", "a|{b c|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rest = str_from(rows[i].list), item;
		struct buf b;

		buf_init(&b, 1000);
		while (list_next(&rest, &item)) {
			buf_add(&b, item);
			buf_add_char(&b, '|');
		}
		assert_string_equal(b.p, rows[i].items);
		buf_release(&b);
	}
}

static void
braces(void **state)
{
	struct str inner;
	const char *why = NULL;

	(void)state;
	assert_true(list_unbrace(STR("{ a = b }"), &inner, &why));
	assert_true(str_eq(inner, STR("a = b")));
	assert_true(list_unbrace(STR("{}"), &inner, &why));
	assert_int_equal(inner.len, 0);
	assert_false(list_unbrace(STR("{a"), &inner, &why));
	assert_string_equal(why, "missing '}'");
	assert_false(list_unbrace(STR("{a}b"), &inner, &why));
	assert_string_equal(why, "syntax error after '}'");
	assert_false(list_unbrace(STR("a"), &inner, &why));
	assert_true(list_has(STR("a, B c"), STR("b")));
	assert_false(list_has(STR("ab"), STR("b")));
	assert_true(list_has_exactly(STR("a, B c"), STR("B")));
	assert_false(list_has_exactly(STR("a, B c"), STR("b")));
	assert_false(list_has_exactly(STR("aB"), STR("B")));
}

static void
booleans(void **state)
{
	bool b = false;

	(void)state;
	assert_true(value_bool(STR("YES"), &b) && b);
	assert_true(value_bool(STR("no"), &b) && !b);
	assert_false(value_bool(STR("true"), &b));
	assert_false(value_bool(STR(""), &b));
}

static void
distances(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0},
		{"a", "", 1},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"relayhost", "relayhots", 1},
		{"kitten", "sitting", 3},
		{"abcdef", "uvwxyz", 4},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			param_distance(str_from(rows[i].a), str_from(rows[i].b), 3),
			rows[i].distance);
	assert_true(str_eq(param_name(param_nearest(STR("smtp_conect_timeout"))),
			   STR("smtp_connect_timeout")));
	assert_null(param_nearest(STR("x")));
	assert_null(param_nearest(STR("something_else_entirely")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),     cmocka_unit_test(lists),
		cmocka_unit_test(braces),    cmocka_unit_test(booleans),
		cmocka_unit_test(distances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
