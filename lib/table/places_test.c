/* SPDX-License-Identifier: Apache-2.0 */
#include "table/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

static const struct {
	const char *text;
	const char *places; /* with a blank behind each */
} rows[] = {
	{"", ""},
	{"inline:{a=b}", ""},
	{"hash:/etc/postfix/virtual", "/etc/postfix "},
	{"hash:/etc/postfix/virtual, texthash:/etc/postfix/more\n  cdb:/srv/mail/x",
	 "/etc/postfix /srv/mail "},
	{"proxy:hash:/a/b unionmap:{hash:/c/d, pipemap:{lmdb:/e/f,texthash:/g/h}}",
	 "/a /c /e /g "},
	{"localhost, !/etc/hosts.list, /x/y/z example.org/24", "/etc /x/y "},
	{"texthash:/alone", "/alone "},
	{"/", ""},
	{"regexp:{{/^a/b/}}", "/^a/b "},
	{"hash:relative/name", ""},
};

static void
test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct buf *out = buf_new(mem, 10000);
		struct str text = str_from(rows[i].text);
		const char *const *list = table_places(mem, &text, 1);

		for (; *list != NULL; list++)
			buf_printf(out, "%s ", *list);
		assert_string_equal(out->p, rows[i].places);
		arena_free(&mem);
	}
}

static void
test_limit(void **state)
{
	struct arena *mem = arena_new();
	struct buf *out = buf_new(mem, 100000);
	const char *const *list;
	struct str text;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 2 * TABLE_PLACES_MAX; i++)
		buf_printf(out, "hash:/%d/x ", i);
	text = buf_str(out);
	list = table_places(mem, &text, 1);
	while (list[n] != NULL)
		n++;
	assert_int_equal(n, TABLE_PLACES_MAX);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
