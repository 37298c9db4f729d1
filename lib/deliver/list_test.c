/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

#include "deliver/spec.h"

static const struct {
	const char *line;
	const char *entries; /* each ended by ; */
} rows[] = {
	{"a, b@example.org", "a;b@example.org;"},
	{"\"|cmd -x, y\", c", "|cmd -x, y;c;"},
	{"|cmd x", "|cmd x;"},
	{"/var/log/x,/y/", "/var/log/x;/y/;"},
	{":include:/etc/list", ":include:/etc/list;"},
	{"Some One <one@example.org> (a, b)", "one@example.org;"},
	{"\"with space\"@example.org", "with space@example.org;"},
	{"\"say \\\"hi\\\"\"", "say \"hi\";"},
	{"", ""},
	{" , ,", ""},
};

static bool
add(void *arg, struct str entry)
{
	buf_add(arg, entry);
	buf_add_char(arg, ';');
	return true;
}

static void
lines(void **state)
{
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf *out = buf_new(mem, 1000);

		assert_true(list_parse(mem, str_from(rows[i].line), add, out));
		assert_string_equal(out->p, rows[i].entries);
	}
	arena_free(&mem);
}

static void
jobs_and_results(void **state)
{
	struct arena *mem = arena_new();
	struct deliver_spec in = {.user = STR("me"), .offset = 42};
	struct deliver_spec out;
	struct deliver_result result;
	struct dsn dsn = dsn_make(mem, "5.1.1", STR("why"));
	struct buf *wire = buf_new(mem, 1000);

	(void)state;
	deliver_spec_encode(&in, wire);
	assert_true(deliver_spec_decode(buf_str(wire), &out));
	assert_true(str_eq(out.user, STR("me")) && out.offset == 42);
	assert_false(deliver_spec_decode(str_head(buf_str(wire), wire->len - 1), &out));
	buf_clear(wire);
	deliver_result_add_dsn(wire, &dsn);
	deliver_result_decode(mem, buf_str(wire), &result);
	assert_int_equal(result.end, DELIVER_LOST); /* it has no end */
	deliver_result_add_end(wire, DELIVER_DONE);
	deliver_result_decode(mem, buf_str(wire), &result);
	assert_int_equal(result.end, DELIVER_DONE);
	assert_string_equal(result.dsn.status.text, "5.1.1");
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(jobs_and_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
