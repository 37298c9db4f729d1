/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void
keeps_a_name_for_a_while(void **state)
{
	struct arena *mem = arena_new();
	struct names *n = names_new(mem);
	struct str name;

	(void)state;
	assert_false(names_find(n, mem, STR("192.0.2.1"), 1, &name));
	assert_false(names_find(n, mem, STR_EMPTY, 0, &name));
	names_add(n, STR("192.0.2.1"), STR("a.example"), 1000);
	assert_true(names_find(n, mem, STR("192.0.2.1"), 1000 + NAMES_MS - 1, &name));
	assert_true(str_eq(name, STR("a.example")));
	assert_false(names_find(n, mem, STR("192.0.2.1"), 1000 + NAMES_MS, &name));
	names_add(n, STR("192.0.2.1"), STR("b.example"), 9000);
	assert_true(names_find(n, mem, STR("192.0.2.1"), 9000, &name));
	assert_true(str_eq(name, STR("b.example")));
	arena_free(&mem);
}

/* However many there are, each finds its own name or none. */
static void
never_gives_the_name_of_another(void **state)
{
	enum { CLIENTS = 4 * NAMES_MAX };
	struct arena *mem = arena_new();
	struct names *n = names_new(mem);
	size_t found = 0;

	(void)state;
	for (int i = 0; i < CLIENTS; i++)
		names_add(n, str_printf(mem, "2001:db8::%x", i),
			  str_printf(mem, "n%d", i), 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct str name;

		if (!names_find(n, mem, str_printf(mem, "2001:db8::%x", i), 1, &name))
			continue;
		assert_true(str_eq(name, str_printf(mem, "n%d", i)));
		found++;
	}
	assert_in_range(found, NAMES_MAX / 2, NAMES_MAX);
	arena_free(&mem);
}

static void
refuses_what_is_too_long(void **state)
{
	struct arena *mem = arena_new();
	struct names *n = names_new(mem);
	char longest[300];
	struct str name;

	(void)state;
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = 'x';
	names_add(n, STR("::1"), str_from_mem(longest, sizeof(longest)), 0);
	names_add(n, str_from_mem(longest, sizeof(longest)), STR("x"), 0);
	assert_false(names_find(n, mem, STR("::1"), 1, &name));
	assert_false(
		names_find(n, mem, str_from_mem(longest, sizeof(longest)), 1, &name));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_a_name_for_a_while),
		cmocka_unit_test(never_gives_the_name_of_another),
		cmocka_unit_test(refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
