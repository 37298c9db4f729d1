/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/verp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static void
makes_senders(void **state)
{
	static const struct {
		const char *sender, *recipient, *expected;
	} rows[] = {
		{"list@example.org", "a@example.net", "list+a=example.net@example.org"},
		{"list", "a@example.net", "list+a=example.net"},
		{"list@example.org", "a", "list+a@example.org"},
		{"l@i@example.org", "\"a@b\"@c", "l@i+\"a@b\"=c@example.org"},
		{"list@example.org", "@c", "list+=c@example.org"},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str made = verp_sender(mem, STR("+="), str_from(rows[i].sender),
					      str_from(rows[i].recipient));

		assert_string_equal(made.p, rows[i].expected);
	}
	arena_free(&mem);
}

static void
knows_delimiters(void **state)
{
	(void)state;
	assert_true(verp_delimiters_are_good(STR("+="), STR("-=+")));
	assert_true(verp_delimiters_are_good(STR("--"), STR("-=+")));
	assert_false(verp_delimiters_are_good(STR("+"), STR("-=+")));
	assert_false(verp_delimiters_are_good(STR("+=="), STR("-=+")));
	assert_false(verp_delimiters_are_good(STR("+#"), STR("-=+")));
	assert_false(verp_delimiters_are_good(STR_EMPTY, STR("-=+")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_senders),
		cmocka_unit_test(knows_delimiters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
