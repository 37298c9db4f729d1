/* SPDX-License-Identifier: Apache-2.0 */
/* As Postfix 3.7's cleanup does it (test/compat/test_cleanup.py asks it). */
#include "rewrite/masquerade.h"

#include "rewrite/rules_testing.h"

static const char base[] = "compatibility_level = 3.6\n"
			   "myhostname = mx.example.org\n"
			   "mydomain = example.org\n"
			   "inet_interfaces = 127.0.0.1\n";

#define D "masquerade_domains = "

static const struct {
	const char *config;
	const char *address;
	const char *answer; /* or "!" and the beginning of the error */
	const char *rule;
} rows[] = {
	{"", "a@b.c", "a@b.c", ""},
	{D "x.test\n", "a@h.x.test", "a@x.test", "x.test"},
	{D "x.test\n", "a@g.h.x.test", "a@x.test", "x.test"},
	{D "x.test\n", "a@x.test", "a@x.test", "x.test"},
	{D "x.test\n", "a@notx.test", "a@notx.test", ""},
	{D "x.test\n", "a@test", "a@test", ""},
	{D "x.test\n", "a", "a", ""},
	{D "x.test\n", "", "", ""},
	{D "x.test\n", "a@H.X.Test", "a@x.test", "x.test"},
	{D "X.Test\n", "a@h.x.test", "a@X.Test", "X.Test"},
	{D "h.x.test x.test\n", "a@g.h.x.test", "a@h.x.test", "h.x.test"},
	{D "h.x.test, x.test\n", "a@i.x.test", "a@x.test", "x.test"},
	{D "h.x.test, x.test\n", "a@h.x.test", "a@h.x.test", "h.x.test"},
	{D "!h.x.test x.test\n", "a@g.h.x.test", "a@g.h.x.test", "h.x.test"},
	{D "!h.x.test x.test\n", "a@i.x.test", "a@x.test", "x.test"},
	{D "!!x.test\n", "a@h.x.test", "a@x.test", "x.test"},
	{D "! x.test\n", "a@h.x.test", "a@x.test", "x.test"},
	{D "x.test\n", "a b@h.x.test", "a b@x.test", "x.test"},
	{D "x.test\n", "a@h@h.x.test", "a@h@x.test", "x.test"},
	{D "x.test\nmasquerade_exceptions = root, a\n", "a@h.x.test", "a@h.x.test", ""},
	{D "x.test\nmasquerade_exceptions = root\n", "ROOT@h.x.test", "ROOT@h.x.test",
	 ""},
	{D "x.test\nmasquerade_exceptions = root\n", "root+x@h.x.test", "root+x@x.test",
	 "x.test"},
	{D "x.test\nmasquerade_exceptions = inline:{a=b}\n", "a@h.x.test", "a@h.x.test",
	 ""},
	{D "x.test\nmasquerade_exceptions = fail:x\n", "a@h.x.test",
	 "!masquerade_exceptions map lookup problem", ""},
	{D "x.test\nmasquerade_classes = header_sender\n", "a@h.x.test", "a@h.x.test",
	 ""},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct rewrite_rules rules;
		struct str out, rule;
		struct err err;
		bool ok;

		rules_for_test(mem, base, rows[i].config, &rules);
		ok = masquerade_address(mem, &rules, CANONICAL_ENVELOPE_SENDER,
					str_from(rows[i].address), &out, &rule, &err);
		if (rows[i].answer[0] == '!') {
			assert_false(ok);
			assert_int_equal(err.kind, ERR_TEMP);
			assert_true(str_starts(str_from(err.text),
					       str_from(rows[i].answer + 1)));
		} else if (!ok || !str_eq(out, str_from(rows[i].answer)) ||
			   !str_eq(rule, str_from(rows[i].rule))) {
			fail_msg("%s%s: %s by %s", rows[i].config, rows[i].address,
				 ok ? str_c(mem, out) : err.text,
				 ok ? str_c(mem, rule) : "");
		}
		arena_free(&mem);
	}
}

static const struct {
	const char *classes;
	const char *error; /* NULL: fine */
} class_rows[] = {
	{"", NULL},
	{"envelope_sender, header_recipient", NULL},
	{"Envelope_Sender", NULL},
	{"envelope_sender header", "unknown x_classes value \"header\" in "
				   "\"envelope_sender header\""},
};

static void
test_classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(class_rows); i++) {
		struct err err;
		bool ok = canonical_class_check("x_classes",
						str_from(class_rows[i].classes), &err);

		assert_int_equal(ok, class_rows[i].error == NULL);
		if (!ok)
			assert_string_equal(err.text, class_rows[i].error);
	}
	assert_true(
		canonical_class_has(STR("a, header_sender"), CANONICAL_HEADER_SENDER));
	assert_false(
		canonical_class_has(STR("header_sender"), CANONICAL_HEADER_RECIPIENT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
