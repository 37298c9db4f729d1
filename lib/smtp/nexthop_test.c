/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/nexthop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		bool lmtp;
		const char *expected; /* "host port mx|host|unix" or the error */
	} rows[] = {
		{"example.org", false, "example.org 25 mx"},
		{"example.org:587", false, "example.org 587 mx"},
		{"example.org:submission", false, "example.org 587 mx"},
		{"[mx.example.org]", false, "mx.example.org 25 host"},
		{"[mx.example.org]:2525", false, "mx.example.org 2525 host"},
		{"[192.0.2.1]", false, "192.0.2.1 25 host"},
		{"[ipv6:2001:db8::1]", false, "2001:db8::1 25 host"},
		{"[IPv6:2001:db8::1]:26", false, "2001:db8::1 26 host"},
		{"[2001:db8::1]:26", false, "2001:db8::1 26 host"},
		{"2001:db8::1", false, "2001:db8::1 25 mx"},
		{"192.0.2.1", false, "192.0.2.1 25 mx"},
		{"inet:host", false,
		 "unknown service or bad port in server description: inet:host"},
		{"inet:host", true, "host 24 host"},
		{"inet:host:2003", true, "host 2003 host"},
		{"host", true, "host 24 host"},
		{"unix:/run/lmtp", true, "/run/lmtp 0 unix"},
		{"unix:private/lmtp", true, "private/lmtp 0 unix"},
		{"unix:", true, "missing path in server description: unix:"},
		{"[example.org", false,
		 "missing ']' in server description: [example.org"},
		{"[a]b", false, "garbage after ']' in server description: [a]b"},
		{"[a]:", false, "missing port after ':' in server description: [a]:"},
		{"a:", false, "missing port after ':' in server description: a:"},
		{"a:0", false, "unknown service or bad port in server description: a:0"},
		{"a:65536", false,
		 "unknown service or bad port in server description: a:65536"},
		{"a:nosuchservice", false,
		 "unknown service or bad port in server description: a:nosuchservice"},
		{"[]", false, "missing host name in server description: []"},
		{"", false, "missing host name in server description: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct nexthop n;
		struct err err;
		struct str got;

		if (nexthop_parse(mem, str_from(rows[i].text), rows[i].lmtp,
				  rows[i].lmtp ? STR("24") : STR("smtp"), &n, &err))
			got = str_printf(mem, PRI_STR " %u %s", STR_ARG(n.host), n.port,
					 n.is_unix ? "unix"
					 : n.mx    ? "mx"
						   : "host");
		else
			got = str_from(err.text);
		assert_string_equal(str_c(mem, got), rows[i].expected);
		arena_free(&mem);
	}
}

static void
test_list(void **state)
{
	struct arena *mem = arena_new();
	struct str *items;
	struct err err;
	size_t n;

	(void)state;
	assert_true(nexthop_list(mem, STR(" [a]:25, b\tc,,"), &items, &n, &err));
	assert_int_equal(n, 3);
	assert_true(str_eq(items[0], STR("[a]:25")));
	assert_true(str_eq(items[2], STR("c")));
	assert_true(nexthop_list(mem, STR(""), &items, &n, &err));
	assert_int_equal(n, 0);
	assert_true(nexthop_list(mem, STR("unix:/a b"), &items, &n, &err));
	assert_int_equal(n, 1);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
