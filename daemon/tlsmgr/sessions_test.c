/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/macros.h"

static void
test_put_get(void **state UNUSED)
{
	struct sessions *s = sessions_new();

	sessions_put(s, STR("a"), STR("one"), 100, 10);
	sessions_put(s, STR("b"), STR("two"), 100, 20);
	assert_true(str_eq(sessions_get(s, STR("a"), 109), STR("one")));
	assert_int_equal(sessions_get(s, STR("c"), 109).len, 0);
	sessions_put(s, STR("a"), STR("three"), 105, 10);
	assert_true(str_eq(sessions_get(s, STR("a"), 114), STR("three")));
	/* Its time is over. */
	assert_int_equal(sessions_get(s, STR("a"), 115).len, 0);
	assert_int_equal(sessions_count(s), 1);
	sessions_expire(s, 119);
	assert_int_equal(sessions_count(s), 1);
	sessions_expire(s, 120);
	assert_int_equal(sessions_count(s), 0);
	sessions_free(&s);
}

static void
test_limit(void **state UNUSED)
{
	struct sessions *s = sessions_new();
	char id[32];

	for (int i = 0; i <= SESSIONS_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		sessions_put(s, str_from(id), STR("x"), 0, 10);
	}
	assert_int_equal(sessions_count(s), SESSIONS_MAX);
	assert_int_equal(sessions_get(s, STR("0"), 0).len, 0);
	assert_int_equal(sessions_get(s, STR("1"), 0).len, 1);
	sessions_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
