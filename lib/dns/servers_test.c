/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

/* The servers in one text, with blanks between. */
static const char *
joined(const struct servers *s, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < s->n; i++) {
		size_t len = strlen(out);

		snprintf(out + len, size - len, "%s%s", i > 0 ? " " : "", s->list[i]);
	}
	return out;
}

struct row {
	const char *text;
	const char *servers; /* NULL: refused */
};

static const struct row lists[] = {
	{"192.0.2.1", "192.0.2.1"},
	{"192.0.2.1@53", "192.0.2.1@53"},
	{"192.0.2.1@5353, 2001:db8::1@1\t::1", "192.0.2.1@5353 2001:db8::1@1 ::1"},
	{"fe80::1%eth0", "fe80::1%eth0"},
	{"fe80::1%eth0@53", "fe80::1%eth0@53"},
	{"", NULL},
	{" , ", NULL},
	{"ns.example.org", NULL},
	{"192.0.2.1@0", NULL},
	{"192.0.2.1@65536", NULL},
	{"192.0.2.1@", NULL},
	{"192.0.2.1@domain", NULL},
	{"192.0.2.1:53", NULL},
	{"192.0.2", NULL},
	{"fe80::1%", NULL},
	{"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 "
	 "1.1.1.10 "
	 "1.1.1.11 1.1.1.12 1.1.1.13 1.1.1.14 1.1.1.15 1.1.1.16 1.1.1.17",
	 NULL},
};

static void
test_lists(void **state UNUSED)
{
	char text[2000];

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct servers s;
		struct err err;
		bool ok = servers_parse_list(str_from(lists[i].text), &s, &err);

		if (ok != (lists[i].servers != NULL))
			fail_msg("\"%s\": %s", lists[i].text, ok ? "taken" : err.text);
		if (ok)
			assert_string_equal(joined(&s, text, sizeof(text)),
					    lists[i].servers);
	}
}

static const struct row files[] = {
	{"nameserver 192.0.2.1\n", "192.0.2.1"},
	{"nameserver 192.0.2.1", "192.0.2.1"},
	{"# c\n; c\nsearch a b\noptions edns0\nnameserver\t192.0.2.1\nnameserver ::1 # "
	 "x\r\n",
	 "192.0.2.1 ::1"},
	{"", "127.0.0.1"},
	{"nameserver\n", "127.0.0.1"},
	{"nameserver ns.example.org\nnameserver 192.0.2.2\n", "192.0.2.2"},
	{"nameservers 192.0.2.1\n", "127.0.0.1"},
	{"#nameserver 192.0.2.1\n", "127.0.0.1"},
	{"nameserver 192.0.2.1@5353\n", "127.0.0.1"},
};

static void
test_files(void **state UNUSED)
{
	char text[2000];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct servers s;

		servers_parse_file(str_from(files[i].text), &s);
		assert_string_equal(joined(&s, text, sizeof(text)), files[i].servers);
	}
}

static void
put(const char *path, const char *text)
{
	struct err err;

	if (!io_replace_file(path, str_from(text), 0644, &err))
		fail_msg("%s", err.text);
}

static void
test_changes(void **state UNUSED)
{
	struct arena *mem = arena_new();
	char path[] = "/tmp/servers_test.XXXXXX";
	struct servers_source source;
	struct err err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	put(path, "nameserver 192.0.2.1\n");
	assert_true(servers_open(mem, str_from(path), &source, &err));
	assert_string_equal(source.now.list[0], "192.0.2.1");
	assert_false(servers_refresh(&source));
	put(path, "nameserver 192.0.2.2\n");
	assert_true(servers_refresh(&source));
	assert_string_equal(source.now.list[0], "192.0.2.2");
	/* Another file with the same servers is no change. */
	put(path, "# same\nnameserver 192.0.2.2\n");
	assert_false(servers_refresh(&source));
	put(path, "");
	assert_false(servers_refresh(&source));
	assert_string_equal(source.now.list[0], "192.0.2.2");
	unlink(path);
	assert_false(servers_refresh(&source));
	put(path, "nameserver 192.0.2.3\n");
	assert_true(servers_refresh(&source));
	unlink(path);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
