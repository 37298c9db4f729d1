/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of servers, whole and byte-cut; settings that are refused; hosts that fail. */
#include "table/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "table/hosts.h"
#include "table/wire.h"

enum kind { TCP, SOCKETMAP, MEMCACHE, REDIS };

struct row {
	enum kind kind;
	const char *input;
	enum lookup result;
	const char *value; /* or a part of the error */
};

static const struct row rows[] = {
	{TCP, "200 a b\n", LOOKUP_FOUND, "a b"},
	{TCP, "200 %41%0a%25\n", LOOKUP_FOUND, "A\n%"},
	{TCP, "200\n", LOOKUP_FOUND, ""},
	{TCP, "500 no\n", LOOKUP_ABSENT, NULL},
	{TCP, "400 later\n", LOOKUP_FAILED, "400 later"},
	{TCP, "2000 x\n", LOOKUP_FAILED, "unexpected"},
	{TCP, "200 %4\n", LOOKUP_FAILED, "bad encoding"},
	{TCP, "200 %zz\n", LOOKUP_FAILED, "bad encoding"},
	{TCP, "20", LOOKUP_FAILED, "unexpected end"},
	{TCP, "", LOOKUP_FAILED, "unexpected end"},
	{SOCKETMAP, "5:OK ab,", LOOKUP_FOUND, "ab"},
	{SOCKETMAP, "3:OK ,", LOOKUP_FOUND, ""},
	{SOCKETMAP, "9:NOTFOUND ,", LOOKUP_ABSENT, NULL},
	{SOCKETMAP, "8:TEMP why,", LOOKUP_FAILED, "TEMP error: why"},
	{SOCKETMAP, "5:MAYBE,", LOOKUP_FAILED, "unexpected"},
	{SOCKETMAP, "100001:OK ", LOOKUP_FAILED, "more than"},
	{SOCKETMAP, "99999999999:", LOOKUP_FAILED, "netstring"},
	{SOCKETMAP, ":,", LOOKUP_FAILED, "netstring"},
	{SOCKETMAP, "-1:,", LOOKUP_FAILED, "netstring"},
	{SOCKETMAP, "5:OK ab;", LOOKUP_FAILED, "netstring"},
	{SOCKETMAP, "5:OK a", LOOKUP_FAILED, "unexpected end"},
	{MEMCACHE, "VALUE k 0 2\r\nab\r\nEND\r\n", LOOKUP_FOUND, "ab"},
	{MEMCACHE, "VALUE k 0 4\r\na\r\nb\r\nEND\r\n", LOOKUP_FOUND, "a\r\nb"},
	{MEMCACHE, "END\r\n", LOOKUP_ABSENT, NULL},
	{MEMCACHE, "SERVER_ERROR out\r\n", LOOKUP_FAILED, "SERVER_ERROR out"},
	{MEMCACHE, "VALUE k 0 2\r\nabc\r\nEND\r\n", LOOKUP_FAILED, "unexpected"},
	{MEMCACHE, "VALUE k 0 -2\r\nEND\r\n", LOOKUP_FAILED, "unexpected"},
	{MEMCACHE, "VALUE k 0 101\r\n", LOOKUP_FAILED, "more than 100"},
	{MEMCACHE, "VALUE k\r\n", LOOKUP_FAILED, "unexpected"},
	{MEMCACHE, "VALUE k 0 2\r\nab\r\nVALUE", LOOKUP_FAILED, "unexpected end"},
	{REDIS, "$2\r\nab\r\n", LOOKUP_FOUND, "ab"},
	{REDIS, "+OK\r\n", LOOKUP_FOUND, "OK"},
	{REDIS, ":7\r\n", LOOKUP_FOUND, "7"},
	{REDIS, "$-1\r\n", LOOKUP_ABSENT, NULL},
	{REDIS, "$0\r\n\r\n", LOOKUP_ABSENT, NULL},
	{REDIS, "*-1\r\n", LOOKUP_ABSENT, NULL},
	{REDIS, "*0\r\n", LOOKUP_ABSENT, NULL},
	{REDIS, "*3\r\n$1\r\na\r\n$-1\r\n:2\r\n", LOOKUP_FOUND, "a,2"},
	{REDIS, "-ERR no\r\n", LOOKUP_FAILED, "ERR no"},
	{REDIS, "*4\r\n", LOOKUP_FAILED, "limit exceeded"},
	{REDIS, "*1\r\n*1\r\n", LOOKUP_FAILED, "unexpected"},
	{REDIS, "$99999999\r\n", LOOKUP_FAILED, "too long"},
	{REDIS, "$x\r\n", LOOKUP_FAILED, "unexpected"},
	{REDIS, "$2\r\nabc\r\n", LOOKUP_FAILED, "unexpected"},
	{REDIS, "%1\r\n", LOOKUP_FAILED, "unexpected"},
	{REDIS, "$5\r\nab", LOOKUP_FAILED, "unexpected end"},
};

static enum lookup
read_answer(enum kind kind, struct str input, struct arena *mem, struct str *value_out,
	    struct err *err)
{
	enum lookup result = LOOKUP_FAILED;
	struct wire w;
	bool usable;

	wire_from_memory(&w, input, 200000);
	switch (kind) {
	case TCP:
		result = tcp_answer(&w, mem, value_out, err);
		break;
	case SOCKETMAP:
		result = socketmap_answer(&w, mem, value_out, &usable, err);
		break;
	case MEMCACHE:
		result = memcache_answer(&w, mem, 1000, 100, value_out, err);
		break;
	case REDIS:
		result = redis_answer(&w, mem, 3, value_out, &usable, err);
		break;
	}
	wire_release(&w);
	return result;
}

static void
test_answers(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str value = STR_EMPTY;
		struct err err = {.text = ""};
		enum lookup result = read_answer(rows[i].kind, str_from(rows[i].input),
						 mem, &value, &err);

		if (result != rows[i].result)
			fail_msg("%s: %d: %s", rows[i].input, result, err.text);
		if (result == LOOKUP_FOUND)
			assert_true(str_eq(value, str_from(rows[i].value)));
		if (result == LOOKUP_FAILED && strstr(err.text, rows[i].value) == NULL)
			fail_msg("%s: %s", rows[i].input, err.text);
		arena_free(&mem);
	}
}

/* What is cut short is never an answer: above all, never "absent". */
static void
test_cut(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str input = str_from(rows[i].input);

		for (size_t n = 0; n < input.len; n++) {
			struct arena *mem = arena_new();
			struct str value;
			struct err err;

			if (read_answer(rows[i].kind, str_head(input, n), mem, &value,
					&err) != LOOKUP_FAILED)
				fail_msg("%.*s", (int)n, input.p);
			arena_free(&mem);
		}
	}
}

static void
test_endless(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct buf *nines = buf_new(mem, 1 << 20);
	struct str value;
	struct err err;

	for (int i = 0; i < 300000; i++)
		buf_add_char(nines, '9');
	for (enum kind kind = TCP; kind <= REDIS; kind++) {
		assert_int_equal(read_answer(kind, buf_str(nines), mem, &value, &err),
				 LOOKUP_FAILED);
		assert_null(strstr(err.text, "unexpected end"));
	}
	arena_free(&mem);
}

static void
test_places(void **state UNUSED)
{
	static const struct {
		const char *text;
		bool plain;
		const char *host, *port; /* NULL: refused */
	} names[] = {
		{"inet:h:1", false, "h", "1"},  {"inet:[::1]:smtp", false, "::1", "smtp"},
		{"h:1", true, "h", "1"},        {":1", true, "localhost", "1"},
		{"h:1", false, NULL, NULL},     {"inet:h", false, NULL, NULL},
		{"inet:h:", false, NULL, NULL}, {"inet:[::1]", false, NULL, NULL},
		{"unix:", false, NULL, NULL},   {"", true, NULL, NULL},
	};
	struct arena *mem = arena_new();
	struct wire_place place;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool ok = wire_place_parse(mem, str_from(names[i].text), names[i].plain,
					   &place, &err);

		if (ok != (names[i].host != NULL))
			fail_msg("%s", names[i].text);
		if (ok) {
			assert_string_equal(place.host, names[i].host);
			assert_string_equal(place.port, names[i].port);
		}
	}
	assert_true(wire_place_parse(mem, STR("unix:/a/b"), false, &place, &err));
	assert_string_equal(place.path, "/a/b");
	arena_free(&mem);
}

static void
count_close(void *arg, void *connection UNUSED)
{
	++*(int *)arg;
}

static void
test_hosts(void **state UNUSED)
{
	static const struct host_calls calls = {.close = count_close};
	struct hosts h = {.calls = &calls};
	int closed = 0;
	struct host *first, *second;
	struct err err;

	h.arg = &closed;
	assert_true(hosts_take(&h, STR("a, unix:/b c"), "t", &err));
	assert_int_equal(h.count, 3);
	first = hosts_next(&h);
	assert_true(str_eq(first->text, STR("unix:/b")));
	first->connection = &closed;
	hosts_used(first);
	assert_ptr_equal(hosts_next(&h), first);
	hosts_failed(&h, first);
	assert_int_equal(closed, 1);
	second = hosts_next(&h);
	assert_false(second->is_unix);
	second->connection = &closed;
	hosts_used(second);
	assert_ptr_equal(hosts_next(&h), second);
	hosts_failed(&h, second);
	hosts_failed(&h, hosts_next(&h));
	assert_null(hosts_next(&h));
	/* Where no other is left, the wait is short. */
	first->failed_at -= HOSTS_ALONE_MS + 1;
	assert_ptr_equal(hosts_next(&h), first);
	hosts_close(&h);
	assert_int_equal(closed, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_endless), cmocka_unit_test(test_places),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
