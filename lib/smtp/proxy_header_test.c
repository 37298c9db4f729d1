/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "smtp/proxy_header.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct row {
	struct str input;
	const char *result; /* addresses, "peer", or why not */
	size_t length;
} rows[] = {
	{STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n"),
	 "192.0.2.1:1234 192.0.2.2:25", 40},
	{STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\nEHLO x\r\n"),
	 "192.0.2.1:1234 192.0.2.2:25", 39},
	{STR_INIT("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), "2001:db8::1:1 ::1:2", 32},
	{STR_INIT("PROXY UNKNOWN\r\n"), "peer", 15},
	{STR_INIT("PROXY UNKNOWN a b c d\r\n"), "peer", 23},
	{STR_INIT("PROXY \r\n"), "bad or missing protocol type", 0},
	{STR_INIT("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"), "bad or missing protocol type",
	 0},
	{STR_INIT("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n"), "bad or missing client address",
	 0},
	{STR_INIT("PROXY TCP6 1.2.3.4 ::1 1 2\r\n"), "bad or missing client address", 0},
	{STR_INIT("PROXY TCP4 1.2.3.4\r\n"), "bad or missing server address", 0},
	{STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 x 2\r\n"), "bad or missing client port", 0},
	{STR_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), "bad or missing server port",
	 0},
	{STR_INIT("EHLO x\r\n"), "missing protocol header", 0},
	{STR_INIT("PROXY "
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	 "missing protocol header terminator", 0},
	{STR_INIT(SIG "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x19"),
	 "192.0.2.1:1234 192.0.2.2:25", 28},
	{STR_INIT(SIG "\x21\x11\0\x10\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x19\4\0\1xEHLO"),
	 "192.0.2.1:1234 192.0.2.2:25", 32},
	{STR_INIT(SIG "\x21\x21\0\x24"
		      "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		      "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x04\xd2\0\x19"),
	 "2001:db8::1:1234 2001:db8::2:25", 52},
	{STR_INIT(SIG "\x20\0\0\0"), "peer", 16},
	{STR_INIT(SIG "\x20\x11\0\2xx"), "peer", 18},
	{STR_INIT(SIG "\x21\x11\0\1x"), "short address field", 0},
	{STR_INIT(SIG "\x21\x12\0\1x"), "unsupported network protocol", 0},
	{STR_INIT(SIG "\x22\x11\0\1x"), "bad command in proxy header", 0},
	{STR_INIT(SIG "\x31\x11\0\0"), "unrecognized protocol version", 0},
	{STR_INIT(SIG "\x21\x11\xff\xff"), "too long address field", 0},
};

static void
test_parse(void **state UNUSED)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxy_header h = {.length = 0};
		const char *why = NULL;
		enum proxy_result result =
			proxy_header_parse(mem, rows[i].input, true, true, &h, &why);
		struct str told =
			str_printf(mem, PRI_STR ":" PRI_STR " " PRI_STR ":" PRI_STR,
				   STR_ARG(h.client_address), STR_ARG(h.client_port),
				   STR_ARG(h.server_address), STR_ARG(h.server_port));

		if (rows[i].length == 0) {
			assert_int_equal(result, PROXY_BAD);
			assert_string_equal(why, rows[i].result);
			continue;
		}
		assert_int_equal(result, PROXY_DONE);
		assert_string_equal(h.keeps_peer ? "peer" : told.p, rows[i].result);
		assert_int_equal(h.length, rows[i].length);
	}
	arena_free(&mem);
}

/* Byte by byte: never bad before the end, never done too early. */
static void
test_trickle(void **state UNUSED)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t n = 0; n < rows[i].length; n++) {
			struct proxy_header h;
			const char *why;

			assert_int_equal(proxy_header_parse(mem,
							    str_head(rows[i].input, n),
							    true, true, &h, &why),
					 PROXY_MORE);
		}
	}
	arena_free(&mem);
}

static void
test_protocols(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct proxy_header h;
	const char *why;

	assert_int_equal(proxy_header_parse(mem, rows[0].input, false, true, &h, &why),
			 PROXY_BAD);
	assert_int_equal(proxy_header_parse(mem, rows[2].input, true, false, &h, &why),
			 PROXY_BAD);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
