/* SPDX-License-Identifier: Apache-2.0 */
#include "table/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static const struct {
	const char *text, *subject, *key;
	const char *expansion; /* NULL: none */
} rows[] = {
	{"plain 100%%", "v", "k", "plain 100%"},
	{"%s|%u", "v", "k", "v|v"},
	{"%s|%u|%d", "a@b.c", "k", "a@b.c|a|b.c"},
	{"%u", "a@b@c", "k", "a@b"},
	{"%d", "a@b@c", "k", "c"},
	{"%d", "v", "k@d", NULL},
	{"%d", "v@", "k", NULL},
	{"%u", "v@", "k", "v"},
	{"%u", "@v", "k", NULL},
	{"%d", "@v", "k", "v"},
	{"%S|%U|%D", "v", "a@b.c", "a@b.c|a|b.c"},
	{"%D", "v", "a", NULL},
	{"%U", "v", "@a", NULL},
	{"%1|%2|%3", "v", "u@mail.example.com", "com|example|mail"},
	{"%4", "v", "u@mail.example.com", NULL},
	{"%1", "v", "u@local", "local"},
	{"%1", "v", "example.com", NULL},
	{"%2", "v", "u@.com", ""},
	{"'%s'", "o'b", "k", "'o'b'"},
};

static void
test_expansions(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct buf *out = buf_new(mem, 1000);
		struct str text = str_from(rows[i].text);
		bool is_some = template_expand(text, str_from(rows[i].subject),
					       str_from(rows[i].key), NULL, NULL, out);

		assert_true(template_is_valid(text));
		if (is_some != (rows[i].expansion != NULL))
			fail_msg("%s of %s, %s", rows[i].text, rows[i].subject,
				 rows[i].key);
		if (is_some)
			assert_string_equal(out->p, rows[i].expansion);
		arena_free(&mem);
	}
}

static void
double_quotes(void *arg UNUSED, struct buf *out, struct str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.p[i] == '\'')
			buf_add_char(out, '\'');
		buf_add_char(out, part.p[i]);
	}
}

static void
test_quoting(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, 1000);

	assert_true(template_expand(STR("'%u' = '%D'"), STR("o'b@x"), STR("o'b@'y"),
				    double_quotes, NULL, out));
	assert_string_equal(out->p, "'o''b' = '''y'");
	arena_free(&mem);
}

static void
test_validity(void **state UNUSED)
{
	static const char *const bad[] = {"%", "a%", "%x", "%0", "%%%", "% s", "%%s%"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (template_is_valid(str_from(bad[i])))
			fail_msg("%s", bad[i]);
	assert_true(template_is_valid(STR("")));
	assert_true(template_is_valid(STR("%%%s%9%1%U")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expansions),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_validity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
