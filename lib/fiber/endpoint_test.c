/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"

/* The first address as text. */
static const char *
describe(struct arena *mem, const struct endpoint *e)
{
	char host[100];
	char port[20];
	struct sockaddr_un un;
	const struct endpoint_address *a = &e->addresses[0];

	if (a->address.ss_family == AF_UNIX) {
		memcpy(&un, &a->address, sizeof(un));
		return str_printf(mem, "unix %s", un.sun_path).p;
	}
	assert_int_equal(getnameinfo((const struct sockaddr *)&a->address, a->len, host,
				     sizeof(host), port, sizeof(port),
				     NI_NUMERICHOST | NI_NUMERICSERV),
			 0);
	return str_printf(mem, "%s %s", host, port).p;
}

static const struct {
	const char *text;
	int family;
	const char *listening; /* NULL: refused */
	const char *connecting;
} rows[] = {
	{"127.0.0.1:2525", AF_UNSPEC, "127.0.0.1 2525", "127.0.0.1 2525"},
	{"inet:127.0.0.1:2525", AF_UNSPEC, "127.0.0.1 2525", "127.0.0.1 2525"},
	{"[127.0.0.1]:2525", AF_UNSPEC, "127.0.0.1 2525", "127.0.0.1 2525"},
	{"[127.0.0.1]", AF_UNSPEC, NULL, "127.0.0.1 77"},
	{"127.0.0.1", AF_UNSPEC, NULL, "127.0.0.1 77"},
	{"[::1]:2525", AF_UNSPEC, "::1 2525", "::1 2525"},
	{"[::1]:2525", AF_INET, NULL, NULL},
	{"127.0.0.1:2525", AF_INET6, NULL, NULL},
	{":2525", AF_INET, "0.0.0.0 2525", NULL},
	{"2525", AF_INET, "0.0.0.0 2525", NULL},
	{"", AF_UNSPEC, NULL, NULL},
	{"inet:", AF_UNSPEC, NULL, NULL},
	{"[127.0.0.1:2525", AF_UNSPEC, NULL, NULL},
	{"[127.0.0.1]2525", AF_UNSPEC, NULL, NULL},
	{"127.0.0.1:nosuchport", AF_UNSPEC, NULL, NULL},
	{"unix:/a/b", AF_UNSPEC, "unix /a/b", "unix /a/b"},
	{"unix:", AF_UNSPEC, NULL, NULL},
	{"unix:/"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 AF_UNSPEC, NULL, NULL},
};

static void
expect(struct arena *mem, const char *text, const char *what, bool ok,
       const struct endpoint *e, const char *want)
{
	const char *got = ok ? describe(mem, e) : NULL;

	if ((want == NULL) != (got == NULL) || (want != NULL && strcmp(want, got) != 0))
		fail_msg("%s %s: got %s, want %s", what, text, got == NULL ? "-" : got,
			 want == NULL ? "-" : want);
}

static void
texts(void **state)
{
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint e;
		struct err err;
		bool ok = endpoint_for_listening(mem, rows[i].text, rows[i].family, &e,
						 &err);

		/* A lone address is taken for a port name, which does not exist. */
		expect(mem, rows[i].text, "listen", ok, &e, rows[i].listening);
		ok = endpoint_for_connecting(mem, rows[i].text, rows[i].family, "77", &e,
					     &err);
		if (strcmp(rows[i].text, "2525") != 0)
			expect(mem, rows[i].text, "connect", ok, &e, rows[i].connecting);
	}
	arena_free(&mem);
}

static void
listening(void **state)
{
	struct arena *mem = arena_new();
	struct endpoint e;
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct err err;
	int fd = -1;
	int other = -1;

	(void)state;
	assert_true(endpoint_for_listening(mem, "127.0.0.1:0", AF_UNSPEC, &e, &err));
	assert_true(endpoint_listen(&e.addresses[0], 5, 2000, &fd, &err));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	memcpy(&e.addresses[0].address, &in, sizeof(in));
	assert_false(endpoint_listen(&e.addresses[0], 5, 0, &other, &err));
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(other, -1);
	close(fd);
	arena_free(&mem);
}

static void
unix_socket_is_replaced(void **state)
{
	struct arena *mem = arena_new();
	char dir[] = "/tmp/endpoint_test.XXXXXX";
	struct str text;
	struct endpoint e;
	struct err err;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	text = str_printf(mem, "unix:%s/socket", dir);
	assert_true(endpoint_for_listening(mem, text.p, AF_UNSPEC, &e, &err));
	for (int i = 0; i < 2; i++) {
		assert_true(endpoint_listen(&e.addresses[0], 5, 0, &fd, &err));
		close(fd);
	}
	assert_int_equal(unlink(text.p + 5), 0);
	/* But not a file that is no socket. */
	assert_int_equal(mkdir(text.p + 5, 0700), 0);
	assert_false(endpoint_listen(&e.addresses[0], 5, 0, &fd, &err));
	assert_int_equal(rmdir(text.p + 5), 0);
	assert_int_equal(rmdir(dir), 0);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(listening),
		cmocka_unit_test(unix_socket_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
