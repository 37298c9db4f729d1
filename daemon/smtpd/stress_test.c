/* SPDX-License-Identifier: Apache-2.0 */
#include "stress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
expect(struct stress *s, int64_t now, size_t n, size_t max, bool on, bool warns)
{
	bool warn;

	assert_int_equal(stress_note(s, now, n, max, &warn), on);
	assert_int_equal(warn, warns);
}

static void
test_comes_and_goes(void **state)
{
	struct stress s = {.smtpd = NULL};

	(void)state;
	expect(&s, 5, 1, 3, false, false);
	/* The last place is taken: from the next session on. */
	expect(&s, 5, 3, 3, false, true);
	expect(&s, 6, 2, 3, true, false);
	expect(&s, 100, 3, 3, true, false);
	expect(&s, 99 + STRESS_MS, 1, 3, true, false);
	expect(&s, 100 + STRESS_MS, 1, 3, false, false);
	expect(&s, 200 + STRESS_MS, 3, 3, false, true);
}

static void
test_no_limit(void **state)
{
	struct stress s = {.smtpd = NULL};

	(void)state;
	expect(&s, 5, 1000, 0, false, false);
	expect(&s, 5, 1000, 0, false, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
