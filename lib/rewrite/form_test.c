/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/form.h"

#include "base/macros.h"

#include "rewrite/rules_testing.h"

static const char base[] = "compatibility_level = 3.6\n"
			   "myhostname = mx.example.org\n"
			   "mydomain = example.org\n"
			   "myorigin = example.org\n"
			   "inet_interfaces = 127.0.0.1\n";

static const struct row {
	const char *config; /* of this and the following rows */
	enum rewrite_context context;
	const char *address, *answer;
} rows[] = {
#define CONFIG(text)           {.config = text},
#define FORM(ctx, text, after) {NULL, REWRITE_##ctx, text, after},
#include "rewrite/form_test.def"
};

static void
test_as_postfix(void **state)
{
	struct arena *mem = NULL;
	struct rewrite_rules rules;
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str answer;

		if (rows[i].config != NULL) {
			arena_free(&mem);
			mem = arena_new();
			rules_for_test(mem, base, rows[i].config, &rules);
			continue;
		}
		if (rows[i].address[0] == '\0')
			continue;
		answer = rewrite_form_external(mem, &rules, rows[i].context,
					       str_from(rows[i].address));
		if (str_eq(answer, str_from(rows[i].answer)))
			continue;
		wrong++;
		print_error("%s -> %s, not %s\n", rows[i].address, str_c(mem, answer),
			    rows[i].answer);
	}
	arena_free(&mem);
	assert_int_equal(wrong, 0);
}

/* The internal form: an operator where quotes would be needed is none. */
static void
test_internal(void **state)
{
	static const struct {
		const char *address, *answer;
	} internal[] = {
		{"", ""},
		{"@", ""},
		{"a", "a@example.org"},
		{"a b", "a b@example.org"},
		{"a b%c", "a b%c@example.org"},
		{"a%c", "a@c"},
		{"site!a", "a@site"},
		{"a@b@c.", "a@b@c"},
		{"a..b@c", "a..b@c"},
		{"\"a\"@c", "\"a\"@c"},
		{"a(b)@c", "a(b)@c"},
		{"a@[1.2.3.4]", "a@[1.2.3.4]"},
	};
	struct arena *mem = arena_new();
	struct rewrite_rules rules;

	(void)state;
	rules_for_test(mem, base, "", &rules);
	for (size_t i = 0; i < ARRAY_LEN(internal); i++)
		assert_string_equal(
			str_c(mem,
			      rewrite_form(mem, &rules, str_from(internal[i].address))),
			internal[i].answer);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_postfix),
		cmocka_unit_test(test_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
