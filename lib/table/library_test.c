/* SPDX-License-Identifier: Apache-2.0 */
#include "table/library.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

#define FUNCTIONS(F) F(floor) F(ceil)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};
static const struct library libm = {"libm.so.6", "libc6"};

static void
test_functions(void **state UNUSED)
{
	struct functions f;
	struct err err;

	for (int i = 0; i < 2; i++) {
		if (!library_functions(&libm, names, ARRAY_LEN(names), &f, sizeof(f),
				       &err))
			fail_msg("%s", err.text);
		assert_true(f.floor(2.5) == 2.0);
		assert_true(f.ceil(2.5) == 3.0);
	}
	assert_true(library_load(&libm, &err));
	assert_true(f.floor(3.5) == 3.0); /* still loaded */
}

static void
test_missing(void **state UNUSED)
{
	static const struct library nowhere = {"libnosuch-9.so", "libnosuch9"};
	static const char *const wrong[] = {"floor", "no_such_function"};
	struct functions f = {NULL, NULL};
	struct err err;

	assert_false(library_load(&nowhere, &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "libnosuch-9.so"));
	assert_non_null(strstr(err.text, "Debian package libnosuch9"));
	assert_false(library_functions(&nowhere, names, 2, &f, sizeof(f), &err));
	assert_false(library_functions(&libm, wrong, 2, &f, sizeof(f), &err));
	assert_non_null(strstr(err.text, "no_such_function"));
	assert_null(f.floor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
