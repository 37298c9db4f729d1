/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"

static const char before[] = "# head\nrelayhost = a\n# in\n  b\n\nfoo = x\n  y\n"
			     "# tail\nrelayhost = c\n";

static const struct {
	const char *name;
	enum edit_mode mode;
	struct config_override items[2];
	size_t count;
	const char *after;
	size_t notes;
} rows[] = {
	{"set",
	 EDIT_SET,
	 {{STR_INIT("foo"), STR_INIT("1  2")}, {STR_INIT("new"), STR_INIT("")}},
	 2,
	 "# head\nrelayhost = a\n# in\n  b\n\nfoo = 1  2\n# tail\nrelayhost = c\n"
	 "new = \n",
	 0},
	{"set twice in the file",
	 EDIT_SET,
	 {{STR_INIT("relayhost"), STR_INIT("z")}},
	 1,
	 "# head\nrelayhost = z\n# in\n\nfoo = x\n  y\n# tail\nrelayhost = z\n",
	 1},
	{"set twice in the request",
	 EDIT_SET,
	 {{STR_INIT("new"), STR_INIT("1")}, {STR_INIT("new"), STR_INIT("2")}},
	 2,
	 "# head\nrelayhost = a\n# in\n  b\n\nfoo = x\n  y\n# tail\nrelayhost = c\n"
	 "new = 2\n",
	 1},
	{"remove",
	 EDIT_REMOVE,
	 {{STR_INIT("relayhost"), STR_INIT("")}},
	 1,
	 "# head\n# in\n\nfoo = x\n  y\n# tail\n",
	 1},
	{"comment out",
	 EDIT_COMMENT,
	 {{STR_INIT("foo"), STR_INIT("")}, {STR_INIT("nope"), STR_INIT("")}},
	 2,
	 "# head\nrelayhost = a\n# in\n  b\n\n#foo = x\n#  y\n# tail\nrelayhost = c\n",
	 0},
};

static void
texts(void **state)
{
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str out;
		struct edit_notes notes = {.file = "main.cf"};
		struct err err;

		assert_true(edit_main(mem, str_from(before), rows[i].mode, rows[i].items,
				      rows[i].count, &out, &notes, &err));
		if (strcmp(out.p, rows[i].after) != 0)
			fail_msg("%s: %s", rows[i].name, out.p);
		assert_int_equal(notes.count, rows[i].notes);
	}
	arena_free(&mem);
}

static void
missing_last_newline(void **state)
{
	struct arena *mem = arena_new();
	const struct config_override item = {STR("c"), STR("d")};
	struct str out;
	struct edit_notes notes = {.file = "main.cf"};
	struct err err;

	(void)state;
	assert_true(edit_main(mem, STR("a = b"), EDIT_SET, &item, 1, &out, &notes, &err));
	assert_string_equal(out.p, "a = b\nc = d\n");
	arena_free(&mem);
}

static bool
append(struct arena *mem, struct str old, struct str *out, void *closure, struct err *err)
{
	(void)err;
	*out = str_concat(mem, old, str_from(closure));
	return true;
}

static void
file_is_replaced(void **state)
{
	struct arena *mem = arena_new();
	char dir[] = "/tmp/edit_test.XXXXXX";
	struct str path, text;
	char more[] = "c = d\n";
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = str_printf(mem, "%s/main.cf", dir);
	assert_false(edit_file(mem, path.p, append, more, &err));
	assert_non_null(strstr(err.text, "No such file"));
	assert_true(io_replace_file(path.p, STR("a = b\n"), 0640, &err));
	assert_true(edit_file(mem, path.p, append, more, &err));
	assert_true(io_read_file(mem, AT_FDCWD, path.p, 1000, &text, &err));
	assert_true(str_eq(text, STR("a = b\nc = d\n")));
	unlink(path.p);
	rmdir(dir);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(missing_last_newline),
		cmocka_unit_test(file_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
