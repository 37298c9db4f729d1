/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void
collect(void *arg, struct str text)
{
	buf_add(arg, text);
}

static const struct {
	const char *in;
	const char *text; /* NULL: the end does not come */
	const char *rest;
} rows[] = {
	{".\r\n", "", ""},
	{"a\r\n.\r\nQUIT\r\n", "a\n", "QUIT\r\n"},
	{"a\r\n..b\r\n.\r\n", "a\n.b\n", ""},
	{"..\r\n.\r\n", ".\n", ""},
	{".a\r\n.\r\n", "a\n", ""},
	{"a\n.\r\nb\r\n.\r\n", "a\n.\nb\n", ""},
	{"a\r\n.\nb\r\n.\r\n", "a\n\nb\n", ""},
	{"a\r.\r\n.\r\n", "a.\n", ""},
	{"a\r\r\n.\r\n", "a\n", ""},
	{".\ra\r\n.\r\n", "a\n", ""},
	{".\r\r\n.\r\n", "\n", ""},
	{"\r\n\r\n.\r\n", "\n\n", ""},
	{"a\r\n.\r", NULL, NULL},
	{"a\n.\n", NULL, NULL},
	{"a.\r\n", NULL, NULL},
	{"", NULL, NULL},
};

static void
check(size_t row, size_t step)
{
	struct buf got;
	struct body b = {.emit = collect, .arg = &got};
	struct str all = str_from(rows[row].in);
	bool ended = false;
	size_t at = 0;

	buf_init(&got, 1000);
	while (!ended && at < all.len) {
		struct str part = str_head(str_skip(all, at), step);
		size_t had = part.len;

		ended = body_scan(&b, &part);
		at += had - part.len;
	}
	if (ended != (rows[row].text != NULL))
		fail_msg("row %zu, step %zu: %s", row, step, ended ? "ended" : "no end");
	if (ended) {
		assert_string_equal(got.p, rows[row].text);
		assert_string_equal(all.p + at, rows[row].rest);
	}
	buf_release(&got);
}

static void
ends_and_text(void **state)
{
	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		for (size_t step = 1; step < 20; step++)
			check(row, step);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(ends_and_text)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
