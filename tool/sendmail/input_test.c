/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

enum { LIMIT = 8, DOT = 1, ALWAYS = 2, NEVER = 4 };

/* out: a line as "text|", a piece of one as "text+". */
static const struct {
	const char *in;
	unsigned how; /* line ends strict without a word */
	const char *out;
} rows[] = {
	{"", 0, ""},
	{"\n", 0, "|"},
	{"a", 0, "a+"},
	{"a\nb\n", 0, "a|b|"},
	{"a\nb", 0, "a|b+"},
	{"1234567\n", 0, "1234567|"},
	{"12345678\n", 0, "12345678+|"},
	{"123456789\n", 0, "12345678+9|"},
	{"1234567812345678x\n", 0, "12345678+12345678+x|"},
	/* Line ends. */
	{"a\r\nb\r\n", 0, "a|b|"},
	{"a\r\nb\n", 0, "a|b|"},
	{"a\nb\r\n", 0, "a|b\r|"},
	{"a\nb\r\n", ALWAYS, "a|b|"},
	{"a\r\nb\r\n", NEVER, "a\r|b\r|"},
	{"a\r\r\n", 0, "a|"},
	{"a\rb\r\n", 0, "a\rb|"},
	{"a\r", 0, "a\r+"},
	{"\r\n", 0, "|"},
	/* A piece has no line end yet. */
	{"1234567\r\n", ALWAYS, "1234567\r+|"},
	/* The mbox line. */
	{"From x\na\n", 0, "a|"},
	{"From x\nFrom y\n>From z\na\n", 0, "a|"},
	{"a\nFrom x\n", 0, "a|From x|"},
	{"Fromage\n", 0, "Fromage|"},
	{"from x\n", 0, "from x|"},
	{"From x", 0, "From x+"},
	{"From long\n", 0, "From lon+g|"},
	{"From x\r\na\r\n", 0, "a|"},
	/* The lone dot. */
	{"a\n.\nb\n", 0, "a|.|b|"},
	{"a\n.\nb\n", DOT, "a|"},
	{"a\n.", DOT, "a|"},
	{"a\r\n.\r\nb", DOT, "a|"},
	{"a\n.\r\nb\n", DOT, "a|.\r|b|"},
	{"a\n..\n. \n", DOT, "a|..|. |"},
	{".\n", DOT, ""},
	{"12345678.\nb\n", DOT, "12345678+.|b|"},
};

static struct str
read_all(struct arena *mem, const char *text, unsigned how)
{
	struct buf *out = buf_new(mem, 10000);
	struct input in;
	enum input_result result;
	struct str piece;
	struct err err;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
	close(pipes[1]);
	input_init(mem, &in, pipes[0], LIMIT,
		   (how & ALWAYS) != 0  ? LINE_ENDINGS_ALWAYS
		   : (how & NEVER) != 0 ? LINE_ENDINGS_NEVER
					: LINE_ENDINGS_STRICT,
		   (how & DOT) != 0);
	while ((result = input_next(&in, &piece, &err)) == INPUT_LINE ||
	       result == INPUT_PART) {
		buf_add(out, piece);
		buf_add_char(out, result == INPUT_LINE ? '|' : '+');
	}
	assert_int_equal(result, INPUT_END);
	assert_int_equal(input_next(&in, &piece, &err), INPUT_END);
	close(pipes[0]);
	return buf_str(out);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str got = read_all(mem, rows[i].in, rows[i].how);

		if (!str_eq(got, str_from(rows[i].out)))
			fail_msg("row %zu: \"%s\", not \"%s\"", i, str_c(mem, got),
				 rows[i].out);
		arena_free(&mem);
	}
}

static void
test_unreadable(void **state)
{
	struct arena *mem = arena_new();
	struct input in;
	struct str text;
	struct err err;

	(void)state;
	input_init(mem, &in, -1, LIMIT, LINE_ENDINGS_NEVER, false);
	assert_int_equal(input_next(&in, &text, &err), INPUT_FAILED);
	assert_true(str_starts(str_from(err.text), STR("error reading input: ")));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
