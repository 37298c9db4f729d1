/* SPDX-License-Identifier: Apache-2.0 */
/* More lines, beside Debian's postalias, are in test/compat/test_postalias.py. */
#include "alias.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static const struct {
	const char *line;
	enum alias_kind kind;
	const char *key, *value;
} rows[] = {
	{"root: admin@example.org", ALIAS_ENTRY, "root", "admin@example.org"},
	{"Root:a,  b ,c", ALIAS_ENTRY, "Root", "a, b, c"},
	{"a : b", ALIAS_ENTRY, "a", "b"},
	{"two words: x", ALIAS_ENTRY, "two words", "x"},
	{"\"two words\": x", ALIAS_ENTRY, "two words", "x"},
	{"\"a@b\": x", ALIAS_ENTRY, "a@b", "x"},
	{"a.b-c+d: x", ALIAS_ENTRY, "a.b-c+d", "x"},
	{"a: \"|cmd \\\"x\\\" y\"", ALIAS_ENTRY, "a", "\"|cmd \\\"x\\\" y\""},
	{"a: |cmd", ALIAS_ENTRY, "a", "|cmd"},
	{"a: :include:/x/y", ALIAS_ENTRY, "a", ":include:/x/y"},
	{"a: /var/mail/file", ALIAS_ENTRY, "a", "/var/mail/file"},
	{"a: \"open", ALIAS_ENTRY, "a", "\"open\""},
	{"a: b (c) d", ALIAS_ENTRY, "a", "b (c) d"},
	{"a:b:c", ALIAS_ENTRY, "a", "b:c"},
	{"\xc3\xa9: \xc3\xbc@\xc3\xbc", ALIAS_ENTRY, "\xc3\xa9", "\xc3\xbc@\xc3\xbc"},
	{"a", ALIAS_NO_PAIR, NULL, NULL},
	{"a:", ALIAS_NO_PAIR, NULL, NULL},
	{"a:  ", ALIAS_NO_PAIR, NULL, NULL},
	{": a", ALIAS_NO_PAIR, NULL, NULL},
	{"a, b: c", ALIAS_NO_PAIR, NULL, NULL},
	{"\"a: b", ALIAS_NO_PAIR, NULL, NULL},
	{"a@b: c", ALIAS_NOT_LOCAL, NULL, NULL},
	{"@: c", ALIAS_NOT_LOCAL, NULL, NULL},
	{" a: b", ALIAS_NOT_TEXT, NULL, NULL},
	{"\xff: b", ALIAS_NOT_TEXT, NULL, NULL},
};

static void
test_rows(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		const struct source_line line = {
			.text = str_from(rows[i].line), .first = 1, .last = 1};
		struct source_entry entry;
		enum source_kind why;
		enum alias_kind kind = alias_parse(mem, &line, true, &entry, &why);

		if (kind != rows[i].kind)
			fail_msg("%s: kind %d", rows[i].line, kind);
		if (kind == ALIAS_ENTRY &&
		    (!str_eq(entry.key, str_from(rows[i].key)) ||
		     !str_eq(entry.value, str_from(rows[i].value))))
			fail_msg("%s: <" PRI_STR "> <" PRI_STR ">", rows[i].line,
				 STR_ARG(entry.key), STR_ARG(entry.value));
		arena_free(&mem);
	}
}

static void
test_what_is_no_text(void **state UNUSED)
{
	static const struct {
		struct source_line line;
		bool utf8;
		enum source_kind why;
	} lines[] = {
		{{.text = STR_INIT("a\0: b")}, true, SOURCE_NUL},
		{{.text = STR_INIT("a: b"), .too_long = true}, true, SOURCE_TOO_LONG},
		{{.text = STR_INIT("\ta: b")}, true, SOURCE_LEADING_BLANK},
		{{.text = STR_INIT("\xff: b")}, true, SOURCE_NOT_UTF8},
		{{.text = STR_INIT("\xff: b")}, false, SOURCE_ENTRY},
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct arena *mem = arena_new();
		struct source_entry entry;
		enum source_kind why = SOURCE_ENTRY;
		enum alias_kind kind =
			alias_parse(mem, &lines[i].line, lines[i].utf8, &entry, &why);

		assert_int_equal(why, lines[i].why);
		assert_int_equal(kind,
				 why == SOURCE_ENTRY ? ALIAS_ENTRY : ALIAS_NOT_TEXT);
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_what_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
