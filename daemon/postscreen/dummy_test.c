/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dummy_testing.h"

static void
start(struct dummy_talk *t, enum screen_action action)
{
	struct err err;

	assert_true(dummy_talk_start(t, action, &err));
}

static bool
heard(const struct dummy_talk *t, const char *text)
{
	struct str said = buf_str(t->said);

	return str_find(said, str_from(text)) < said.len;
}

static bool
ends_with(const struct dummy_talk *t, const char *text)
{
	return str_eq(t->client.final_reply, str_from(text));
}

static void
test_passes(void **state UNUSED)
{
	struct dummy_talk t;

	start(&t, ACTION_IGNORE);
	dummy_talk_run(
		&t, STR("EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n"),
		1);
	assert_int_equal(t.client.failed, 0);
	assert_int_equal(t.client.passed, TESTS_DEEP);
	assert_true(t.client.keeps_out);
	assert_true(heard(&t, "220 host.example ESMTP\r\n"));
	assert_true(heard(&t, "250-SIZE 1000\r\n"));
	assert_false(heard(&t, "250-DSN"));
	assert_true(heard(&t, "250 CHUNKING\r\n"));
	dummy_talk_end(&t);
}

static void
test_pipelining(void **state UNUSED)
{
	struct dummy_talk t;

	start(&t, ACTION_ENFORCE);
	dummy_talk_run(
		&t, STR("EHLO c.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n"),
		0);
	assert_int_equal(t.client.failed, 1u << TEST_PIPELINING);
	assert_int_equal(t.client.passed, 1u << TEST_NON_SMTP | 1u << TEST_BARE_NEWLINE);
	assert_true(heard(&t, "550 5.5.1 Protocol error\r\n"));
	assert_true(ends_with(&t, "221 2.0.0 Bye"));
	dummy_talk_end(&t);

	start(&t, ACTION_DROP);
	dummy_talk_run(&t, STR("EHLO c.example\r\nQUIT\r\n"), 0);
	assert_true(ends_with(&t, "521 5.5.1 Protocol error"));
	dummy_talk_end(&t);
}

static void
test_bare_newline(void **state UNUSED)
{
	struct dummy_talk t;

	start(&t, ACTION_DROP);
	dummy_talk_run(&t, STR("NOOP\n"), 0);
	assert_int_equal(t.client.failed, 1u << TEST_BARE_NEWLINE);
	assert_true(ends_with(&t, "521 5.5.1 Protocol error"));
	dummy_talk_end(&t);

	start(&t, ACTION_IGNORE);
	dummy_talk_run(&t, STR("NOOP\n"), 0);
	assert_int_equal(t.client.failed, 0);
	assert_int_equal(t.client.settled, 1u << TEST_BARE_NEWLINE);
	assert_true(t.client.gone);
	dummy_talk_end(&t);
}

static void
test_other_protocols(void **state UNUSED)
{
	static const char *const lines[] = {"GET / HTTP/1.0\r\n", "Subject: x\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct dummy_talk t;

		start(&t, ACTION_DROP);
		dummy_talk_run(&t, str_from(lines[i]), 0);
		assert_int_equal(t.client.failed, 1u << TEST_NON_SMTP);
		assert_true(ends_with(
			&t, "521 5.7.0 Error: I can break rules, too. Goodbye."));
		dummy_talk_end(&t);
	}
}

static void
test_limits(void **state UNUSED)
{
	struct dummy_talk t;
	char longer[1000];
	char many[400];
	size_t n = 0;

	start(&t, ACTION_IGNORE);
	memset(longer, 'x', sizeof(longer));
	dummy_talk_run(&t, str_from_mem(longer, sizeof(longer)), 0);
	assert_true(ends_with(&t, "421 host.example Service unavailable - try again "
				  "later"));
	dummy_talk_end(&t);

	while (n + 7 < sizeof(many))
		n += (size_t)snprintf(many + n, sizeof(many) - n, "NOOP\r\n");
	start(&t, ACTION_IGNORE);
	dummy_talk_run(&t, str_from_mem(many, n), 0);
	assert_int_equal(t.client.commands, 21);
	dummy_talk_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_bare_newline),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
