/* SPDX-License-Identifier: Apache-2.0 */
#include "table/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

struct row {
	const char *list;
	const char *key; /* a name; for hosts "name/address" */
	enum match_result result;
	const char *pattern; /* what decided, NULL: do not look */
};

static void
run_rows(enum match_kind kind, unsigned flags, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena *mem = arena_new();
		struct match_hit hit = {.pattern = "?"};
		enum match_result result;
		struct str name, address;
		struct match *m;
		struct err err;

		if (!match_open(mem, kind, "list", str_from(rows[i].list), flags, &m,
				&err))
			fail_msg("%s: %s", rows[i].list, err.text);
		if (kind == MATCH_ADDRESSES &&
		    str_split(str_from(rows[i].key), '/', &name, &address))
			result = match_find_host(m, name, address, &hit, &err);
		else
			result = match_find(m, str_from(rows[i].key), &hit, &err);
		if (result != rows[i].result)
			fail_msg("\"%s\" in \"%s\": %d", rows[i].key, rows[i].list,
				 result);
		if (rows[i].pattern != NULL) {
			assert_non_null(hit.pattern);
			assert_string_equal(hit.pattern, rows[i].pattern);
		}
		if (result == MATCH_FAILED)
			assert_true(strlen(err.text) > 0);
		arena_free(&mem);
	}
}

static const struct row strings[] = {
	{"a b", "a", MATCH_YES, "a"},
	{"a b", "B", MATCH_YES, "b"},
	{"A,B", "b", MATCH_YES, "b"},
	{"a b", "c", MATCH_NO, NULL},
	{"", "a", MATCH_NO, NULL},
	{"!a a b", "a", MATCH_NO, "a"},
	{"!a a b", "b", MATCH_YES, "b"},
	{"a !a", "a", MATCH_YES, "a"},
	{"!!a", "a", MATCH_YES, "a"},
	{"static:x", "anything", MATCH_YES, "static:x"},
	{"!static:x a", "a", MATCH_NO, "static:x"},
	{"inline:{a=1}", "A", MATCH_YES, NULL},
	{"inline:{{a = 1 2}}", "a", MATCH_YES, NULL},
	{"inline:{a=1}", "b", MATCH_NO, NULL},
	{"a fail:x", "a", MATCH_YES, "a"},
	{"a fail:x", "b", MATCH_FAILED, NULL},
	{"a !fail:x", "b", MATCH_FAILED, NULL},
	{"nosuch:x a", "a", MATCH_FAILED, NULL},
	{"ldap:x a", "a", MATCH_FAILED, NULL},
	{"/nonexistent/file a", "a", MATCH_FAILED, NULL},
	{"a /nonexistent/file", "a", MATCH_YES, "a"},
	{"hash:/nonexistent/file a", "a", MATCH_FAILED, NULL},
	{"sub.a", "a", MATCH_NO, NULL},
	{".a", "x.a", MATCH_NO, NULL},
};

static void
test_strings(void **state UNUSED)
{
	run_rows(MATCH_STRINGS, 0, strings, ARRAY_LEN(strings));
}

static const struct row domains[] = {
	{"example.org", "example.org", MATCH_YES, NULL},
	{"example.org", "EXAMPLE.org", MATCH_YES, NULL},
	{"example.org", "a.example.org", MATCH_NO, NULL},
	{".example.org", "a.example.org", MATCH_YES, ".example.org"},
	{".example.org", "a.b.example.org", MATCH_YES, NULL},
	{".example.org", "example.org", MATCH_NO, NULL},
	{".example.org", "notexample.org", MATCH_NO, NULL},
	{"!a.example.org .example.org", "a.example.org", MATCH_NO, NULL},
	{"inline:{example.org=x}", "example.org", MATCH_YES, NULL},
	{"inline:{example.org=x}", "a.example.org", MATCH_NO, NULL},
	{"inline:{.example.org=x}", "a.example.org", MATCH_YES, NULL},
	{"inline:{.example.org=x}", "a.b.example.org", MATCH_YES, NULL},
	{"inline:{.example.org=x}", "example.org", MATCH_NO, NULL},
	{"inline:{.org=x}", "example.org", MATCH_YES, NULL},
	{"regexp:{{/^example/ x}}", "a.example.org", MATCH_NO, NULL},
	{"regexp:{{/example/ x}}", "a.example.org", MATCH_YES, NULL},
};

static const struct row parents[] = {
	{"example.org", "example.org", MATCH_YES, NULL},
	{"example.org", "a.b.example.org", MATCH_YES, "example.org"},
	{"example.org", "notexample.org", MATCH_NO, NULL},
	{".example.org", "a.example.org", MATCH_NO, NULL},
	{"inline:{example.org=x}", "a.example.org", MATCH_YES, NULL},
	{"inline:{.example.org=x}", "a.example.org", MATCH_NO, NULL},
	{"inline:{org=x}", "a.example.org", MATCH_YES, NULL},
};

static void
test_domains(void **state UNUSED)
{
	run_rows(MATCH_DOMAINS, 0, domains, ARRAY_LEN(domains));
	run_rows(MATCH_DOMAINS, MATCH_PARENT, parents, ARRAY_LEN(parents));
}

static const struct row hosts[] = {
	{"127.0.0.0/8", "localhost/127.0.0.1", MATCH_YES, "127.0.0.0/8"},
	{"127.0.0.0/8", "localhost/128.0.0.1", MATCH_NO, NULL},
	{"127.0.0.0/8 [::1]/128", "localhost/::1", MATCH_YES, "[::1]/128"},
	{"[2001:db8::]/32", "h/2001:db8:1::1", MATCH_YES, NULL},
	{"[2001:db8::]/32", "h/2001:db9::1", MATCH_NO, NULL},
	{"[::1]", "h/::1", MATCH_YES, NULL},
	{"192.0.2.1", "h/192.0.2.1", MATCH_YES, NULL},
	{"192.0.2.1", "h/192.0.2.10", MATCH_NO, NULL},
	{"0.0.0.0/0", "h/::1", MATCH_NO, NULL},
	{"!192.0.2.1 192.0.2.0/24", "h/192.0.2.1", MATCH_NO, "192.0.2.1"},
	{"!192.0.2.1 192.0.2.0/24", "h/192.0.2.2", MATCH_YES, NULL},
	{"192.0.2.1/24 h", "h/192.0.2.2", MATCH_FAILED, NULL},
	{"192.0.2.0/33 h", "h/192.0.2.2", MATCH_FAILED, NULL},
	{"host.example", "host.example/192.0.2.2", MATCH_YES, NULL},
	{".example", "host.example/192.0.2.2", MATCH_YES, NULL},
	{"example", "host.example/192.0.2.2", MATCH_NO, NULL},
	{"cidr:{{192.0.2.0/24 x}}", "h/192.0.2.9", MATCH_YES, NULL},
	{"cidr:{{192.0.2.0/24 x}}", "h/192.0.3.9", MATCH_NO, NULL},
	{"inline:{192.0.2.1=x}", "h/192.0.2.1", MATCH_YES, NULL},
	{"inline:{h=x}", "h/192.0.2.1", MATCH_YES, NULL},
};

static void
test_hosts(void **state UNUSED)
{
	run_rows(MATCH_ADDRESSES, 0, hosts, ARRAY_LEN(hosts));
}

/* A file's patterns stand in its place; "!" before it turns each of them round. */
static void
test_files(void **state UNUSED)
{
	struct arena *mem = arena_new();
	char path[] = "/tmp/match_test.XXXXXX";
	struct match_hit hit;
	struct match *m;
	struct err err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_true(io_replace_file(path, STR("# c\na, b\n!c\n\n  d\n"), 0600, &err));
	assert_true(match_open(mem, MATCH_STRINGS, "list", str_printf(mem, "%s c", path),
			       0, &m, &err));
	assert_int_equal(match_find(m, STR("b"), &hit, &err), MATCH_YES);
	assert_int_equal(match_find(m, STR("d"), &hit, &err), MATCH_YES);
	assert_int_equal(match_find(m, STR("c"), &hit, &err), MATCH_NO);
	assert_int_equal(match_find(m, STR("#"), &hit, &err), MATCH_NO);
	assert_true(match_open(mem, MATCH_STRINGS, "list",
			       str_printf(mem, "!%s static:x", path), 0, &m, &err));
	assert_int_equal(match_find(m, STR("b"), &hit, &err), MATCH_NO);
	assert_int_equal(match_find(m, STR("c"), &hit, &err), MATCH_YES);
	assert_int_equal(match_find(m, STR("z"), &hit, &err), MATCH_YES);
	/* A file that names itself does not go on for ever. */
	assert_true(io_replace_file(path, str_printf(mem, "%s\n", path), 0600, &err));
	assert_true(match_open(mem, MATCH_STRINGS, "list", str_from(path), 0, &m, &err));
	assert_int_equal(match_find(m, STR("a"), &hit, &err), MATCH_FAILED);
	unlink(path);
	arena_free(&mem);
}

static void
test_warnings_name_the_list(void **state UNUSED)
{
	struct arena *mem = arena_new();
	const char *const *texts;
	struct match *m;
	struct err err;

	assert_true(match_open(mem, MATCH_DOMAINS, "mydestination",
			       STR("a nosuch:x hash:/nonexistent"), 0, &m, &err));
	assert_int_equal(match_warnings(m, &texts), 2);
	assert_non_null(strstr(texts[0], "mydestination"));
	assert_non_null(strstr(texts[0], "nosuch"));
	assert_non_null(strstr(texts[1], "/nonexistent.db"));
	assert_string_equal(match_title(m), "mydestination");
	assert_false(match_is_empty(m));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_warnings_name_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
