/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/macros.h"

#include "limit.h"

static void
test_window(void **state UNUSED)
{
	struct limit *l = limit_new(2);
	struct str bob = STR("bob");

	limit_count(l, bob, 1000);
	assert_false(limit_is_reached(l, bob, 1000));
	limit_count(l, bob, 2000);
	assert_true(limit_is_reached(l, bob, 2000));
	assert_false(limit_is_reached(l, STR("eve"), 2000));
	assert_true(limit_is_reached(l, bob, 1000 + LIMIT_WINDOW_MS - 1));
	assert_false(limit_is_reached(l, bob, 1000 + LIMIT_WINDOW_MS));
	limit_count(l, bob, 1000 + LIMIT_WINDOW_MS);
	assert_false(limit_is_reached(l, bob, 1000 + LIMIT_WINDOW_MS));
	limit_count(l, bob, 1000 + LIMIT_WINDOW_MS);
	limit_forget(l, bob);
	assert_false(limit_is_reached(l, bob, 1000 + LIMIT_WINDOW_MS));
	limit_free(&l);
}

static void
test_off(void **state UNUSED)
{
	struct limit *l = limit_new(0);

	for (int i = 0; i < 100; i++)
		limit_count(l, STR("bob"), 1);
	assert_false(limit_is_reached(l, STR("bob"), 1));
	limit_free(&l);
}

/* The oldest name makes room. */
static void
test_bound(void **state UNUSED)
{
	struct limit *l = limit_new(1);
	char text[20];

	limit_count(l, STR("first"), 1);
	limit_count(l, STR("second"), 1);
	for (int i = 0; i < LIMIT_NAMES_MAX - 1; i++) {
		snprintf(text, sizeof(text), "%d", i);
		limit_count(l, str_from(text), 1);
	}
	assert_false(limit_is_reached(l, STR("first"), 1));
	assert_true(limit_is_reached(l, STR("second"), 1));
	limit_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
