/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void
bodies(void **state)
{
	static const struct {
		int64_t length;
		size_t lines;
		const char *starts; /* first bytes of the lines */
		size_t last;        /* length of the last */
	} rows[] = {
		{1, 1, "X", 1},      {79, 1, "X", 79},
		{80, 1, "X", 80},    {81, 2, "1X", 1},
		{160, 2, "1X", 80},  {161, 3, "12X", 1},
		{200, 3, "12X", 40}, {1000, 13, "123456789012X", 40},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str body = source_make_body(mem, rows[i].length);
		struct str line = STR_EMPTY;
		size_t count = 0;

		assert_int_equal(body.len, rows[i].length + 2);
		while (str_line(&body, &line)) {
			assert_int_equal(line.p[0], rows[i].starts[count]);
			count++;
			if (count < rows[i].lines)
				assert_int_equal(line.len, 78);
		}
		assert_int_equal(count, rows[i].lines);
		assert_int_equal(line.len, rows[i].last);
	}
	assert_int_equal(source_make_body(mem, 0).len, 76);
	arena_free(&mem);
}

static void
stuffing(void **state)
{
	static const struct {
		const char *file;
		const char *want;
	} rows[] = {
		{"", ""},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{".\n..x\n.y", "..\r\n...x\r\n..y\r\n"},
		{"\n\n", "\r\n\r\n"},
		{".\n.\n.\n.", "..\r\n..\r\n..\r\n..\r\n"},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(source_stuff(mem, str_from(rows[i].file)).p,
				    rows[i].want);
	assert_true(str_eq(source_recipient(mem, "a@b", 0), STR("a@b")));
	assert_true(str_eq(source_recipient(mem, "a@b", 12), STR("12a@b")));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(stuffing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
