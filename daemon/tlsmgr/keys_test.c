/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/macros.h"

static void
test_rotation(void **state UNUSED)
{
	struct keys k = {.now = {.encrypts_until = 0}};
	struct key first;
	struct err err;

	assert_true(keys_refresh(&k, 1000, 100, &err));
	first = k.now;
	assert_int_equal(first.encrypts_until, 1100);
	assert_int_equal(first.decrypts_until, 1200);
	assert_int_equal(k.before.encrypts_until, 0);
	assert_true(keys_refresh(&k, 1099, 100, &err));
	assert_memory_equal(&k.now, &first, sizeof(first));
	/* The old one still decrypts. */
	assert_true(keys_refresh(&k, 1100, 100, &err));
	assert_memory_equal(&k.before, &first, sizeof(first));
	assert_memory_not_equal(k.now.secret, first.secret, KEY_BYTES);
	assert_int_equal(k.now.encrypts_until, 1200);
	/* And not for ever. */
	assert_true(keys_refresh(&k, 1199, 100, &err));
	assert_int_equal(k.before.decrypts_until, 1200);
	assert_true(keys_refresh(&k, 1250, 100, &err));
	assert_int_equal(k.before.encrypts_until, 1200);
	assert_true(keys_refresh(&k, 5000, 100, &err));
	assert_int_equal(k.before.decrypts_until, 0);
}

static void
test_clock_put_back(void **state UNUSED)
{
	struct keys k = {.now = {.encrypts_until = 0}};
	struct err err;

	assert_true(keys_refresh(&k, 100000000, 3600, &err));
	assert_true(keys_refresh(&k, 1000, 3600, &err));
	assert_int_equal(k.now.encrypts_until, 4600);
}

static void
test_limit(void **state UNUSED)
{
	struct keys k = {.now = {.encrypts_until = 0}};
	struct err err;

	assert_true(keys_refresh(&k, 1000, INT64_MAX, &err));
	assert_int_equal(k.now.encrypts_until, 1000 + KEY_SECONDS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_clock_put_back),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
