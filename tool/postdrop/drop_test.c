/* SPDX-License-Identifier: Apache-2.0 */
#include "drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

enum { LINE_LIMIT = 20 };

/* Records as "Ltext" with a semicolon between them; `\n`, `\r` and `\0` in a text as
 * written. */
static const struct {
	const char *in;
	const char *out; /* NULL: refused */
	const char *why; /* the error, or a part of the warning; NULL: none */
} rows[] = {
	{"Ss@x;Rr@x;M;NX: y;N;Ltext;Nrest;X;E", "Ss@x;Rr@x;M;NX: y;N;Ltext;Nrest;X;E",
	 NULL},
	{"FName;Ss@x;V+=;Rr@x;M;X;Rq@x;E", "FName;Ss@x;V+=;Rr@x;M;X;Rq@x;E", NULL},
	{"Aencoding=8bit", "Aencoding=8bit", NULL},
	{"A encoding = 8bit ", "Aencoding=8bit", NULL},
	{"Aencoding=evil", "", "ignoring attribute record: encoding=evil"},
	{"Aencoding=", "Aencoding=", NULL},
	{"Arewrite_context=x", "", "ignoring attribute record: rewrite_context=x"},
	{"Atrace_flags=512", "Atrace_flags=512", NULL},
	{"Atrace_flags=513", "", "ignoring attribute record: trace_flags=513"},
	{"Aenvelope_id=any", "Aenvelope_id=any", NULL},
	{"Anotify_flags=99", "Anotify_flags=99", NULL},
	{"Asasl_username=root", "", "ignoring attribute record: sasl_username=root"},
	{"Anone", "", "missing '=' after attribute name: none"},
	{"A=x", "", "missing attribute name: =x"},
	{"T1 2", NULL, "unexpected record type: 84"},
	{"C1 2", NULL, "unexpected record type: 67"},
	{"Dr@x", NULL, "unexpected record type: 68"},
	{"Lsmtp:x", NULL, "unexpected record type: 76"},
	{"Oo@x", NULL, "unexpected record type: 79"},
	{">a@b", NULL, "unexpected record type: 62"},
	{"W1", NULL, "unexpected record type: 87"},
	{"p0", NULL, "unexpected record type: 112"},
	{"f0", NULL, "unexpected record type: 102"},
	{"Ntext", NULL, "unexpected record type: 78"},
	{"X", NULL, "unexpected record type: 88"},
	{"E", NULL, "unexpected record type: 69"},
	{"M;Rr@x", NULL, "unexpected record type: 82"},
	{"M;w", NULL, "unexpected record type: 119"},
	{"M;X;Ss@x", NULL, "unexpected record type: 83"},
	{"M;X;Ntext", NULL, "unexpected record type: 78"},
	{"M;X;Fname", NULL, "unexpected record type: 70"},
	{"Ss\\nt@x", NULL, "line end or null byte in record type: 83"},
	{"Rr\\r@x", NULL, "line end or null byte in record type: 82"},
	{"Rr\\0@x", NULL, "line end or null byte in record type: 82"},
	{"M;Na\\0b\\rc", "M;Na\\0b\\rc", NULL},
	{"R1234567890123456789x", "R1234567890123456789x", NULL},
	{"R1234567890123456789xy", NULL, "malformed input"},
};

static void
add_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '\\') {
			c = text.p[++i];
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : '\0';
		}
		buf_add_char(out, c);
	}
}

static struct str
encode(struct arena *mem, const char *text)
{
	struct buf *out = buf_new(mem, 10000);
	struct str rest = str_from(text);
	struct str word;

	while (str_token(&rest, ";", &word)) {
		struct buf *data = buf_new(mem, 1000);

		add_text(data, str_skip(word, 1));
		record_encode(out, word.p[0], buf_str(data));
	}
	return buf_str(out);
}

struct told {
	struct buf *out;
	struct buf *warnings;
	struct drop drop;
	enum drop_result result;
	struct err err;
};

/* bytes: how many more arrive when those that are there do not do. */
static void
take(struct arena *mem, struct str input, size_t bytes, struct told *t)
{
	size_t at = 0;
	size_t have = MIN_OF(bytes, input.len);

	*t = (struct told){.out = buf_new(mem, 10000), .warnings = buf_new(mem, 10000)};
	t->drop = (struct drop){.max_length = LINE_LIMIT, .segment = SEGMENT_ENVELOPE};
	for (;;) {
		struct str warning = STR_EMPTY;
		size_t used = 0;

		t->result =
			drop_take(mem, &t->drop, str_from_mem(input.p + at, have - at),
				  t->out, &used, &warning, &t->err);
		buf_add(t->warnings, warning);
		at += used;
		if (t->result == DROP_TAKEN)
			continue;
		if (t->result != DROP_MORE || have == input.len)
			return;
		have = MIN_OF(have + bytes, input.len);
	}
}

static void
check(struct arena *mem, size_t row, size_t bytes)
{
	const char *why = rows[row].why;
	struct told t;

	take(mem, encode(mem, rows[row].in), bytes, &t);
	if (rows[row].out == NULL) {
		assert_int_equal(t.result, DROP_REFUSED);
		assert_string_equal(t.err.text, why);
		return;
	}
	assert_int_not_equal(t.result, DROP_REFUSED);
	assert_true(str_eq(buf_str(t.out), encode(mem, rows[row].out)));
	if (why == NULL)
		assert_int_equal(t.warnings->len, 0);
	else
		assert_non_null(strstr(t.warnings->p, why));
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();

		check(mem, i, SIZE_MAX);
		check(mem, i, 1);
		arena_free(&mem);
	}
}

static void
test_what_is_noted(void **state)
{
	struct arena *mem = arena_new();
	struct told t;

	(void)state;
	take(mem, encode(mem, "Ss@x;Rr@x;Rq@x;M;X;Rp@x;E"), SIZE_MAX, &t);
	assert_int_equal(t.result, DROP_END);
	assert_int_equal(t.drop.senders, 1);
	assert_int_equal(t.drop.recipients, 3);
	assert_int_equal(t.drop.segment, SEGMENT_OVER);
	take(mem, encode(mem, "Ss@x;St@x"), SIZE_MAX, &t);
	assert_int_equal(t.result, DROP_MORE);
	assert_int_equal(t.drop.senders, 2);
	assert_true(str_eq(t.drop.sender, STR("t@x")));
	arena_free(&mem);
}

/* A length that no record has, and one longer than allowed that need not arrive. */
static void
test_malformed(void **state)
{
	struct arena *mem = arena_new();
	struct told t;

	(void)state;
	take(mem, STR("S\xff\xff\xff\xff\xff\xff\x7f"), SIZE_MAX, &t);
	assert_int_equal(t.result, DROP_REFUSED);
	take(mem, STR("S\x7fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), SIZE_MAX, &t);
	assert_int_equal(t.result, DROP_REFUSED);
	take(mem, STR("S\x10short"), SIZE_MAX, &t);
	assert_int_equal(t.result, DROP_MORE);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_what_is_noted),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
