/* SPDX-License-Identifier: Apache-2.0 */
#include "table/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

struct line {
	int first, last;
	const char *text;
};

struct file {
	const char *name;
	struct str text;
	struct line lines[8];
};

static const struct file files[] = {
	{"empty", STR_INIT(""), {{0}}},
	{"only comments", STR_INIT("# a\n\n  # b\n   \n"), {{0}}},
	{"one", STR_INIT("a b\n"), {{1, 1, "a b"}}},
	{"no line end", STR_INIT("a b"), {{1, 1, "a b"}}},
	{"two", STR_INIT("a b\nc d\n"), {{1, 1, "a b"}, {2, 2, "c d"}}},
	{"continued",
	 STR_INIT("a b\n  c\n\td\ne f"),
	 {{1, 3, "a b  c\td"}, {4, 4, "e f"}}},
	{"comments within",
	 STR_INIT("a b\n# x\n\n  # y\n  c\nd e\n"),
	 {{1, 5, "a b  c"}, {6, 6, "d e"}}},
	{"comments after", STR_INIT("a b\n# x\nd e\n"), {{1, 1, "a b"}, {3, 3, "d e"}}},
	{"begins with a blank",
	 STR_INIT("\n  a b\n  c\nd e\n"),
	 {{2, 2, "  a b"}, {3, 3, "  c"}, {4, 4, "d e"}}},
	{"CR LF", STR_INIT("a b\r\n c\r\n"), {{1, 2, "a b\r c\r"}}},
};

static void
test_lines(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct arena *mem = arena_new();
		struct source_lines lines;
		struct source_line line;
		size_t n = 0;

		source_lines_init(&lines, mem, files[i].text);
		while (source_lines_next(&lines, &line)) {
			const struct line *want = &files[i].lines[n++];

			if (want->text == NULL ||
			    !str_eq(line.text, str_from(want->text)))
				fail_msg("%s: \"" PRI_STR "\"", files[i].name,
					 STR_ARG(line.text));
			assert_int_equal(line.first, want->first);
			assert_int_equal(line.last, want->last);
			assert_false(line.too_long);
		}
		if (files[i].lines[n].text != NULL)
			fail_msg("%s: only %zu lines", files[i].name, n);
		arena_free(&mem);
	}
}

struct entry {
	struct str line;
	enum source_kind kind;
	const char *key, *value;
};

static const struct entry entries[] = {
	{STR_INIT("key value"), SOURCE_ENTRY, "key", "value"},
	{STR_INIT("key \t value with blanks  "), SOURCE_ENTRY, "key",
	 "value with blanks"},
	{STR_INIT("key value\r"), SOURCE_ENTRY, "key", "value"},
	{STR_INIT("KEY value"), SOURCE_ENTRY, "KEY", "value"},
	{STR_INIT("\"a b\"@c value"), SOURCE_ENTRY, "\"a b\"@c", "value"},
	{STR_INIT("a\\ b value"), SOURCE_ENTRY, "a\\ b", "value"},
	{STR_INIT("\"a \\\" b\" value"), SOURCE_ENTRY, "\"a \\\" b\"", "value"},
	{STR_INIT("a\\\\ b"), SOURCE_ENTRY, "a\\\\", "b"},
	{STR_INIT("key \"value"), SOURCE_ENTRY, "key", "\"value"},
	{STR_INIT("k\xc3\xa9y v\xc3\xa9"), SOURCE_ENTRY, "k\xc3\xa9y", "v\xc3\xa9"},
	{STR_INIT("key: value"), SOURCE_ENTRY_COLON, "key:", "value"},
	{STR_INIT("key :value"), SOURCE_ENTRY, "key", ":value"},
	{STR_INIT("key"), SOURCE_NO_VALUE, NULL, NULL},
	{STR_INIT("key   "), SOURCE_NO_VALUE, NULL, NULL},
	{STR_INIT(" key value"), SOURCE_LEADING_BLANK, NULL, NULL},
	{STR_INIT("\"key value"), SOURCE_UNBALANCED, NULL, NULL},
	{STR_INIT("k\xffy value"), SOURCE_NOT_UTF8, NULL, NULL},
	{STR_INIT("key \xc3"), SOURCE_NOT_UTF8, NULL, NULL},
	{STR_INIT("key va\0lue"), SOURCE_NUL, NULL, NULL},
};

static void
test_entries(void **state UNUSED)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		const struct entry *want = &entries[i];
		struct source_line line = {.text = want->line, .first = 7};
		struct source_entry got;
		enum source_kind kind = source_parse(&line, true, &got);

		if (kind != want->kind)
			fail_msg("\"" PRI_STR "\": kind %d", STR_ARG(want->line), kind);
		if (want->key != NULL) {
			assert_true(str_eq(got.key, str_from(want->key)));
			assert_true(str_eq(got.value, str_from(want->value)));
		}
		if (kind != SOURCE_ENTRY)
			assert_true(strlen(source_complaint(mem, kind, "F", &line)) > 5);
	}
	arena_free(&mem);
}

static void
test_not_utf8_is_allowed_where_asked(void **state UNUSED)
{
	struct source_line line = {.text = STR("k\xffy value")};
	struct source_entry got;

	assert_int_equal(source_parse(&line, false, &got), SOURCE_ENTRY);
	assert_int_equal(got.key.len, 3);
}

/* A logical line that grows too long is marked, and the next one is not affected. */
static void
test_too_long(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct buf *text = buf_new(mem, (size_t)3 * SOURCE_LINE_MAX);
	struct source_lines lines;
	struct source_line line;
	struct source_entry entry;

	buf_add_c(text, "key value\n");
	while (text->len < (size_t)2 * SOURCE_LINE_MAX)
		buf_add_c(text, " some more of the same value\n");
	buf_add_c(text, "next one\n");
	source_lines_init(&lines, mem, buf_str(text));
	assert_true(source_lines_next(&lines, &line));
	assert_int_equal(source_parse(&line, true, &entry), SOURCE_TOO_LONG);
	assert_true(source_lines_next(&lines, &line));
	assert_int_equal(source_parse(&line, true, &entry), SOURCE_ENTRY);
	assert_true(str_eq(entry.value, STR("one")));
	assert_false(source_lines_next(&lines, &line));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_not_utf8_is_allowed_where_asked),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
