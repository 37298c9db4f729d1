/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/macros.h"

enum { LIMIT_MS = 60000 };

/* Lives one after the other and the wait after each. */
static const struct {
	int64_t lived_ms, wait_ms;
} rows[] = {
	{5000, 0},   {10, 1000},  {10, 2000},  {59999, 4000}, {10, 8000}, {10, 16000},
	{10, 32000}, {10, 60000}, {10, 60000}, {60001, 0},    {10, 1000},
};

static void
test_rows(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(backoff_next(&b, rows[i].lived_ms, LIMIT_MS),
				 rows[i].wait_ms);
}

static void
test_never_overflows(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t ms = backoff_next(&b, 0, LIMIT_MS);

		assert_in_range(ms, 0, LIMIT_MS);
	}
	assert_int_equal(backoff_next(&b, 0, LIMIT_MS), LIMIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
