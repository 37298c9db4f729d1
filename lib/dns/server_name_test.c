/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/server_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

struct row {
	const char *text;
	const char *where; /* host or path; NULL: refused, and why is in `why` */
	unsigned port;     /* 0: a path */
	const char *why;
};

static const struct row rows[] = {
	{"unix:/run/filter.sock", "/run/filter.sock", 0, NULL},
	{"unix:private/auth", "private/auth", 0, NULL},
	{"local:a", "a", 0, NULL},
	{"inet:127.0.0.1:8891", "127.0.0.1", 8891, NULL},
	{"inet:filter.example.org:smtp", "filter.example.org", 25, NULL},
	{"inet:[::1]:10023", "::1", 10023, NULL},
	{"inet:10023@[::1]", "::1", 10023, NULL},
	{"inet:10023@localhost", "localhost", 10023, NULL},
	{"localhost:10023", "localhost", 10023, NULL},
	{"inet:::1:25", "::1", 25, NULL},
	{"", NULL, 0, "the port is missing"},
	{"unix:", NULL, 0, "the path is missing"},
	{"localhost", NULL, 0, "the port is missing"},
	{"inet:localhost", NULL, 0, "the port is missing"},
	{"inet::25", NULL, 0, "the host is missing or too long"},
	{"inet:[]:25", NULL, 0, "the host is missing or too long"},
	{"inet:host:0", NULL, 0, "unknown port"},
	{"inet:host:65536", NULL, 0, "unknown port"},
	{"inet:host:no-such-service", NULL, 0, "unknown port"},
	{"inet:host:", NULL, 0, "unknown port"},
};

static void
parses(void **state UNUSED)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct server_name name;
		struct err err;

		if (r->where == NULL) {
			assert_false(
				server_name_parse(mem, str_from(r->text), &name, &err));
			assert_string_equal(err.text, r->why);
			continue;
		}
		assert_true(server_name_parse(mem, str_from(r->text), &name, &err));
		assert_int_equal(name.is_unix, r->port == 0);
		assert_int_equal(name.port, r->port);
		assert_true(
			str_eq(name.is_unix ? name.path : name.host, str_from(r->where)));
	}
	arena_free(&mem);
}

static void
knows_the_length_of_a_path(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct server_name name;
	char text[200];
	struct err err;

	memset(text, 'a', sizeof(text));
	memcpy(text, "unix:", 5);
	assert_true(server_name_parse(mem, str_from_mem(text, 5 + 107), &name, &err));
	assert_false(server_name_parse(mem, str_from_mem(text, 5 + 108), &name, &err));
	assert_string_equal(err.text, "the path is too long");
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(knows_the_length_of_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
