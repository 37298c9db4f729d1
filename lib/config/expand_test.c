/* SPDX-License-Identifier: Apache-2.0 */
#include "config/expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

static enum expand_found
variables(void *closure, struct str name, struct str *out)
{
	static const char *const values[][2] = {
		{"a", "x"},
		{"c", "$$a"},
		{"empty", ""},
		{"hollow", "$empty"},
		{"u", "$v"},
		{"v", "$u"},
		{"d", "<$a>"},
		{"doubles", "$d1$d1"},
		{"d1", "$d2$d2$d2$d2"},
		{"d2", "$d3$d3$d3$d3"},
		{"d3", "$d4$d4$d4$d4"},
		{"d4", "$d5$d5$d5$d5"},
		{"d5", "$d6$d6$d6$d6"},
		{"d6", "$d7$d7$d7$d7"},
		{"d7", "$d8$d8$d8$d8"},
		{"d8", "$d9$d9$d9$d9"},
		{"d9", "$a$a$a$a$a$a"},
	};

	(void)closure;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (str_eq(name, str_from(values[i][0]))) {
			*out = str_from(values[i][1]);
			return EXPAND_RECURSE;
		}
	}
	return EXPAND_UNKNOWN;
}

/* error: the expected text is an error. All rows were tried with postconf -x. */
static const struct {
	const char *text;
	const char *expected;
	bool error;
} rows[] = {
	{"plain", "plain", false},
	{"$a", "x", false},
	{"$(a)b $ab ${a}b $$a", "xb  xb $a", false},
	{"$d", "<x>", false},
	{"$c", "$a", false},
	{"${ a }", "x", false},
	{"${a?{yes}:{no}}", "yes", false},
	{"${empty?{yes}:{no}}", "no", false},
	{"${hollow?{yes}:{no}}", "yes", false}, /* its text is not empty */
	{"${zz:none}", "none", false},
	{"${a?yes}", "yes", false},
	{"${a?a:b}", "a:b", false},
	{"$(a?yes)", "yes", false},
	{"${a ? {yes} : {no} }", "yes", false},
	{"${a?{ yes }:{no}}|", " yes |", false},
	{"${zz?{1}}|", "|", false},
	{"${a?{${a:{q}}$a}}", "x", false},
	{"${a?{yes}:}", "yes", false},
	{"${zz:$a $$ b}", "x $ b", false},
	{"${{$a} == {x} ? {eq} : {ne}}", "eq", false},
	{"$({$a} == {x}?{1}:{2})", "1", false},
	{"${{$a} != {x} ? {ne} : {eq}}", "eq", false},
	{"${{3} < {20} ? {lt} : {ge}}", "lt", false},
	{"${{3a} < {20} ? {lt} : {ge}}", "ge", false},
	{"${{20} >= {3}?{ge}}", "ge", false},
	{"${{007} == {7}?{1}:{2}}", "1", false},
	{"${{ x } == {x}?{1}:{2}}", "2", false},
	{"${{$a} == {x}}|", "true|", false},
	{"${{$a} == {y}}|", "|", false},
	{"${{3} <level {3.6} ? {lt}:{ge}}", "lt", false},
	{"${{3.10} <level {3.6} ? {lt}:{ge}}", "ge", false},
	{"${{3.6.1} >level {3.6} ? {gt}:{le}}", "gt", false},
	{"${{3.6.0} ==level {3.6} ? {eq}:{ne}}", "eq", false},
	{"${a?{yes}:${}", "truncated macro reference: \"${a?{yes}:${}\"", true},
	{"${a?{1}:$-}", "1", false}, /* the other branch is not looked at */
	{"hello$", "empty macro name: \"hello$\"", true},
	{"[$-x]", "empty macro name: \"[$-x]\"", true},
	{"[${}]", "empty macro name: \"[${}]\"", true},
	{"hello${", "truncated macro reference: \"hello${\"", true},
	{"hello$(a", "truncated macro reference: \"hello$(a\"", true},
	{"${a?{yes}junk}", "\":\" expected at: \"...yes}>>>junk\"", true},
	{"${a?{yes}:{no} x}", "unexpected input at: \"...no}>>>x\"", true},
	{"${zz:{n}?{m}}", "unexpected input at: \"...n}>>>?{m}\"", true},
	{"${a=foo}", "attribute name syntax error at: \"...a>>>=foo\"", true},
	{"${a b}", "attribute name syntax error at: \"...a>>> b\"", true},
	{"${$a}", "attribute name syntax error at: \"...>>>$a\"", true},
	{"${foo{arg}}", "attribute name syntax error at: \"...foo>>>{arg}\"", true},
	{"${{3.x} <level {3.6} ? {lt}}", "malformed compatibility level syntax: \"3.x\"",
	 true},
	{"$u", "unreasonable macro call nesting: \"v\"", true},
	{"$doubles", "more than 100000 macro references", true},
};

static void
as_postfix(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out;
		struct err err = {.kind = ERR_NONE};
		bool ok;

		buf_init(&out, EXPAND_BYTES_MAX);
		ok = expand_text(str_from(rows[i].text), variables, NULL, &out, &err);
		if (ok == rows[i].error)
			fail_msg("%s: %s", rows[i].text, ok ? out.p : err.text);
		assert_string_equal(ok ? out.p : err.text, rows[i].expected);
		buf_release(&out);
	}
}

static void
deep_braces_end(void **state)
{
	struct buf deep, out;
	struct err err;

	(void)state;
	buf_init(&deep, EXPAND_BYTES_MAX);
	buf_init(&out, EXPAND_BYTES_MAX);
	for (int i = 0; i < 1000; i++)
		buf_add_c(&deep, "${a?{");
	for (int i = 0; i < 1000; i++)
		buf_add_c(&deep, "}}");
	assert_false(expand_text(buf_str(&deep), variables, NULL, &out, &err));
	assert_non_null(strstr(err.text, "unreasonable macro call nesting"));
	buf_release(&deep);
	buf_release(&out);
}

static void
too_large(void **state)
{
	struct buf out;
	struct err err;

	(void)state;
	buf_init(&out, 10);
	assert_false(expand_text(STR("0123456789$a"), variables, NULL, &out, &err));
	assert_non_null(strstr(err.text, "value larger than"));
	buf_release(&out);
}

static void
collect(void *closure, struct str name)
{
	struct buf *b = closure;

	buf_add(b, name);
	buf_add_char(b, ' ');
}

static void
names(void **state)
{
	struct buf seen;

	(void)state;
	buf_init(&seen, 1000);
	expand_names(STR("$a $$no ${b?{$c}:{$d}} ${{$e} < {$f} ? {$g}}"), collect, &seen);
	assert_string_equal(seen.p, "a b c d e f g ");
	buf_release(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_postfix),
		cmocka_unit_test(deep_braces_end),
		cmocka_unit_test(too_large),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
