/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

#include "config/config.h"
#include "mail/address.h"

#include "rewrite/rules.h"

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
load(struct arena *mem, const char *extra, struct rewrite_rules *rules)
{
	char dir[] = "/tmp/form_test.XXXXXX";
	struct config_options options = {.dir = dir};
	struct config *cfg;
	struct str path;
	struct err err;
	bool ok;

	assert_non_null(mkdtemp(dir));
	path = str_printf(mem, "%s/main.cf", dir);
	assert_true(io_replace_file(path.p, str_printf(mem, "%s%s", base, extra), 0600,
				    &err));
	ok = config_load(mem, &options, &cfg, &err) &&
	     rewrite_rules_load(mem, cfg, NULL, 0, rules, &err);
	unlink(path.p);
	rmdir(dir);
	if (!ok)
		fail_msg("%s: %s", extra, err.text);
}

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
			load(mem, rows[i].config, &rules);
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
	load(mem, "", &rules);
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
