/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/flush_site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"
#include "queue/id.h"

static void
test_file(void **state)
{
	static const struct {
		const char *site, *file;
	} rows[] = {
		{"example.org", "example_org"},
		{"EXAMPLE.org", "example_org"},
		{"[127.0.0.1]", "_127_0_0_1_"},
		{"../../etc/passwd", "______etc_passwd"},
		{"x", "x_"},
		{"", ""},
		{"\xc3\xa9.example", "___example"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str file = flush_site_file(mem, str_from(rows[i].site));

		assert_string_equal(str_c(mem, file), rows[i].file);
		assert_true(file.len == 0 || queue_id_is_valid(file));
		arena_free(&mem);
	}
}

static void
test_long_site(void **state)
{
	struct arena *mem = arena_new();
	char site[255];

	(void)state;
	memset(site, 'y', sizeof(site));
	assert_true(queue_id_is_valid(
		flush_site_file(mem, str_from_mem(site, sizeof(site)))));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_long_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
