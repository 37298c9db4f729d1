/* SPDX-License-Identifier: Apache-2.0 */
#include "byte_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"

static void
reads_escapes(void **state)
{
	static const struct {
		const char *text;
		struct str bytes; /* all that are in the set */
	} rows[] = {
		{"", STR_INIT("")},
		{"abc", STR_INIT("abc")},
		{"\\0", STR_INIT("\0")},
		{"\\000\\177", STR_INIT("\0\177")},
		{"\\0333", STR_INIT("\0333")}, /* three digits, then a 3 */
		{"\\a\\b\\f\\n\\r\\t\\v", STR_INIT("\a\b\f\n\r\t\v")},
		{"\\\\\\q\\8", STR_INIT("\\q8")},
		{"\\", STR_INIT("\\")},
		{"\\377\xe9", STR_INIT("\xff\xe9")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct byte_set set;
		size_t n = 0;

		byte_set_parse(str_from(rows[i].text), &set);
		assert_int_equal(set.any, rows[i].bytes.len > 0);
		for (size_t c = 0; c < ARRAY_LEN(set.has); c++) {
			if (set.has[c] != str_contains(rows[i].bytes, (char)c))
				fail_msg("%s: byte %zu", rows[i].text, c);
			n += set.has[c];
		}
		assert_int_equal(n, rows[i].bytes.len);
	}
}

static void
finds_the_first(void **state)
{
	struct byte_set set;

	(void)state;
	byte_set_parse(STR("\\0x"), &set);
	assert_int_equal(byte_set_find(&set, STR("abc")), 3);
	assert_int_equal(byte_set_find(&set, STR("ab\0x")), 2);
	assert_int_equal(byte_set_find(&set, STR("xab")), 0);
	assert_int_equal(byte_set_find(&set, STR_EMPTY), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_escapes),
		cmocka_unit_test(finds_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
