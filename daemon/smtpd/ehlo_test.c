/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "ehlo.h"
#include "received.h"

static void
test_parse(void **state UNUSED)
{
	static const struct {
		const char *text;
		unsigned bits;
		const char *names;
	} rows[] = {
		{"", 0, ""},
		{"dsn, Pipelining", EHLO_DSN | EHLO_PIPELINING, "PIPELINING DSN"},
		{"dsn dsn foo", EHLO_DSN, "DSN"},
		{"chunking, silent-discard", EHLO_CHUNKING, ""},
	};
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str names;

		assert_int_equal(ehlo_keywords_parse(mem, str_from(rows[i].text), &names),
				 rows[i].bits);
		assert_true(str_eq(names, str_from(rows[i].names)));
	}
	arena_free(&mem);
}

static struct str
format(struct arena *mem, unsigned keywords, int64_t size)
{
	const struct ehlo_offer offer = {
		.keywords = keywords, .size = size, .mechanisms = STR("PLAIN LOGIN")};

	return ehlo_format(mem, STR("h"), &offer);
}

static void
test_auth(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct ehlo_offer offer = {.keywords = EHLO_SIZE | EHLO_AUTH,
				   .mechanisms = STR("PLAIN LOGIN")};

	assert_true(str_eq(ehlo_format(mem, STR("h"), &offer),
			   STR("250-h\r\n250-SIZE\r\n250 AUTH PLAIN LOGIN")));
	offer.old_auth = true;
	assert_true(str_eq(ehlo_format(mem, STR("h"), &offer),
			   STR("250-h\r\n250-SIZE\r\n250-AUTH PLAIN LOGIN\r\n"
			       "250 AUTH=PLAIN LOGIN")));
	offer.keywords |= EHLO_DSN;
	assert_true(str_eq(ehlo_format(mem, STR("h"), &offer),
			   STR("250-h\r\n250-SIZE\r\n250-AUTH PLAIN LOGIN\r\n"
			       "250-AUTH=PLAIN LOGIN\r\n250 DSN")));
	arena_free(&mem);
}

static void
test_comment(void **state UNUSED)
{
	static const struct {
		struct str login, comment;
	} rows[] = {
		{STR_INIT("bob"), STR_INIT("bob")},
		{STR_INIT("o(d)d"), STR_INIT("o(d)d")},
		{STR_INIT("a)b("), STR_INIT("a?b?")},
		{STR_INIT("((a)"), STR_INIT("?(a)")},
		{STR_INIT("a\\\xc3\xa9"), STR_INIT("a???")},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct received r = {.helo = STR("h"),
				     .name = STR("n"),
				     .address = STR("1.2.3.4"),
				     .myhostname = STR("host"),
				     .mail_name = STR("Postfix"),
				     .protocol = STR("ESMTP"),
				     .authenticated = true,
				     .login = rows[i].login,
				     .id = STR("ID"),
				     .recipient = STR_EMPTY,
				     .date = STR("D")};
		struct str lines[RECEIVED_LINES];

		assert_int_equal(received_format(mem, &r, lines), 4);
		assert_true(str_eq(
			lines[1], str_printf(mem, "\t(Authenticated sender: " PRI_STR ")",
					     STR_ARG(rows[i].comment))));
		arena_free(&mem);
	}
}

static void
test_format(void **state UNUSED)
{
	struct arena *mem = arena_new();

	assert_true(str_eq(format(mem, 0, 0), STR("250 h")));
	assert_true(str_eq(format(mem, EHLO_SIZE, 0), STR("250-h\r\n250 SIZE")));
	assert_true(str_eq(format(mem, EHLO_SIZE | EHLO_XFORWARD, 5),
			   STR("250-h\r\n250-SIZE 5\r\n250 XFORWARD NAME ADDR PROTO HELO "
			       "SOURCE PORT IDENT")));
	arena_free(&mem);
}

static void
test_received(void **state UNUSED)
{
	struct received r = {.helo = STR("me.example"),
			     .name = STR("unknown"),
			     .address = STR("2001:db8::1"),
			     .myhostname = STR("host"),
			     .mail_name = STR("Postfix"),
			     .protocol = STR("ESMTP"),
			     .id = STR("ABC"),
			     .recipient = STR("a b@c"),
			     .date = STR("DATE")};
	struct arena *mem = arena_new();
	struct str lines[RECEIVED_LINES];

	assert_int_equal(received_format(mem, &r, lines), 3);
	assert_true(str_eq(lines[0], STR("Received: from me.example (unknown "
					 "[IPv6:2001:db8::1])")));
	assert_true(str_eq(lines[1], STR("\tby host (Postfix) with ESMTP id ABC")));
	assert_true(str_eq(lines[2], STR("\tfor <\"a b\"@c>; DATE")));
	r.recipient = r.helo = STR_EMPTY;
	r.name = STR("n.example");
	r.address = STR("192.0.2.1");
	r.smtputf8 = true;
	assert_int_equal(received_format(mem, &r, lines), 3);
	assert_true(str_eq(lines[0],
			   STR("Received: from n.example (n.example [192.0.2.1])")));
	assert_true(str_eq(lines[1], STR("\tby host (Postfix) with UTF8SMTP id ABC;")));
	assert_true(str_eq(lines[2], STR("\tDATE")));
	r.hide_client = true;
	assert_int_equal(received_format(mem, &r, lines), 2);
	assert_true(str_eq(lines[0], STR("Received: by host (Postfix) id ABC;")));
	assert_true(str_eq(lines[1], STR("\tDATE")));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),    cmocka_unit_test(test_format),
		cmocka_unit_test(test_auth),     cmocka_unit_test(test_comment),
		cmocka_unit_test(test_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
