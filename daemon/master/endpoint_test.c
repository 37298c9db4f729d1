/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static const struct {
	const char *host, *port, *interfaces, *protocols;
	const char *expected; /* "address port N" separated by ", ", * = optional */
	const char *error;
} rows[] = {
	{"127.0.0.1", "2525", "all", "all", "127.0.0.1 port 2525", NULL},
	{"::1", "2525", "all", "all", "*::1 port 2525", NULL},
	{"::1", "2525", "all", "ipv6", "::1 port 2525", NULL},
	{"", "25", "all", "ipv4", "0.0.0.0 port 25", NULL},
	{"", "25", "all", "ipv6", ":: port 25", NULL},
	{"", "25", "all", "all", "0.0.0.0 port 25, *:: port 25", NULL},
	{"", "25", "all", "", "0.0.0.0 port 25, *:: port 25", NULL},
	{"", "25", "loopback-only", "all", "127.0.0.1 port 25, *::1 port 25", NULL},
	{"", "25", "loopback-only", "ipv4, ipv6", "127.0.0.1 port 25, *::1 port 25",
	 NULL},
	{"", "25", "loopback-only", "ipv4", "127.0.0.1 port 25", NULL},
	{"", "25", "127.0.0.1, [::1] 127.0.0.2", "all",
	 "127.0.0.1 port 25, *::1 port 25, 127.0.0.2 port 25", NULL},
	{"", "25", "127.0.0.1 127.0.0.1", "all", "127.0.0.1 port 25", NULL},
	{"", "smtp", "127.0.0.1", "all", "127.0.0.1 port 25", NULL},
	{"", "25", "::1", "ipv4", NULL, "no address to listen on"},
	{"", "25", "", "all", NULL, "no address to listen on"},
	{"", "nosuchport", "all", "all", NULL, "unknown service or port: nosuchport"},
	{"999.1.1.1", "25", "all", "all", NULL, "host not found: 999.1.1.1"},
};

static const char *
print(struct arena *mem, const struct endpoint *at, size_t n)
{
	struct str out = STR_EMPTY;

	for (size_t i = 0; i < n; i++)
		out = str_printf(mem, PRI_STR "%s%s%s", STR_ARG(out), i > 0 ? ", " : "",
				 at[i].optional ? "*" : "", at[i].text);
	return str_c(mem, out);
}

/* The order of 0.0.0.0 and :: is the system's. */
static void
check(struct arena *mem, size_t row, const struct endpoint *at, size_t n)
{
	const char *got = print(mem, at, n);
	struct str rest = str_from(rows[row].expected);
	struct str item, tail;
	size_t expected = 0;

	while (rest.len > 0) {
		if (!str_split(rest, ',', &item, &tail)) {
			item = rest;
			tail = STR_EMPTY;
		}
		if (strstr(got, str_c(mem, str_trim(item))) == NULL)
			fail_msg("row %zu: %s", row, got);
		expected++;
		rest = tail;
	}
	assert_int_equal(n, expected);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct endpoint *at = NULL;
		size_t n = 0;
		struct err err;
		bool ok = endpoints_resolve(mem, str_from(rows[i].host),
					    str_from(rows[i].port),
					    str_from(rows[i].interfaces),
					    str_from(rows[i].protocols), &at, &n, &err);

		if (rows[i].error != NULL) {
			assert_false(ok);
			if (strstr(err.text, rows[i].error) == NULL)
				fail_msg("row %zu: %s", i, err.text);
		} else {
			if (!ok)
				fail_msg("row %zu: %s", i, err.text);
			check(mem, i, at, n);
		}
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
