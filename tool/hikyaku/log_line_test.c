/* SPDX-License-Identifier: Apache-2.0 */
#include "log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/macros.h"

enum { REFERENCE = 1795521600 };

#define HEAD "Nov 24 10:00:00 mail postfix/"

static void /* NOLINTNEXTLINE(readability-function-size): rows */
kinds(void **state)
{
	static const struct {
		const char *line;
		enum log_kind kind;
		const char *id, *client, *from, *to, *link;
	} rows[] = {
		{HEAD "smtpd[1]: AB12345678: client=c.example.net[192.0.2.1]", LOG_CLIENT,
		 "AB12345678", "c.example.net[192.0.2.1]", "", "", ""},
		{HEAD "smtpd[1]: AB12345678: client=l[127.0.0.1], "
		      "orig_queue_id=AB12345679, orig_client=c[192.0.2.1]",
		 LOG_CLIENT, "AB12345678", "l[127.0.0.1]", "", "", "AB12345679"},
		{HEAD "pickup[1]: AB12345678: uid=0 from=<a@example.org> "
		      "orig_id=AB12345670",
		 LOG_PICKUP, "AB12345678", "", "a@example.org", "", "AB12345670"},
		{HEAD "cleanup[1]: AB12345678: message-id=<>", LOG_MESSAGE_ID,
		 "AB12345678", "", "", "", ""},
		{HEAD "qmgr[1]: 4dKtRq3Xw1z9bFd: from=<>, size=1, nrcpt=2 (queue active)",
		 LOG_ACTIVE, "4dKtRq3Xw1z9bFd", "", "", "", ""},
		{HEAD "smtp[1]: AB12345678: to=<a,b@example.org>, relay=none, delay=1, "
		      "delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok: queued as X9)",
		 LOG_DELIVERY, "AB12345678", "", "", "a,b@example.org", "X9"},
		{HEAD "local[1]: AB12345678: to=<a@example.org>, relay=local, delay=1, "
		      "delays=0/0/0/1, dsn=2.0.0, status=sent (forwarded as AB1234567C)",
		 LOG_DELIVERY, "AB12345678", "", "", "a@example.org", "AB1234567C"},
		{HEAD "qmgr[1]: AB12345678: removed", LOG_REMOVED, "AB12345678", "", "",
		 "", ""},
		{HEAD
		 "qmgr[1]: AB12345678: from=<a@b>, status=expired, returned to sender",
		 LOG_EXPIRED, "AB12345678", "", "a@b", "", ""},
		{HEAD
		 "bounce[1]: AB12345678: sender non-delivery notification: AB12345679",
		 LOG_NOTIFICATION, "AB12345678", "", "", "", "AB12345679"},
		{HEAD
		 "smtpd[1]: NOQUEUE: reject: RCPT from c[2001:db8::1]: 554 5.7.1 "
		 "<t@x>: Relay access denied; from=<f@x> to=<t@x> proto=SMTP helo=<h>",
		 LOG_ACTION, "", "c[2001:db8::1]", "f@x", "t@x", ""},
		{HEAD
		 "postscreen[1]: NOQUEUE: reject: RCPT from [192.0.2.1]:99: 550 5.7.1 "
		 "no; from=<f@x>, to=<t@x>, proto=SMTP, helo=<h>",
		 LOG_ACTION, "", "[192.0.2.1]", "f@x", "t@x", ""},
		{HEAD
		 "cleanup[1]: AB12345678: reject: header Subject: x from c[192.0.2.1]; "
		 "from=<f@x> to=<t@x> proto=SMTP helo=<h>: no thanks",
		 LOG_ACTION, "AB12345678", "c[192.0.2.1]", "f@x", "t@x", ""},
		{HEAD
		 "smtpd[1]: AB12345678: milter-reject: END-OF-MESSAGE from c[1]: 5.7.1 "
		 "no; from=<f@x> to=<t@x>",
		 LOG_ACTION, "AB12345678", "c[1]", "f@x", "t@x", ""},
		{HEAD "smtpd[1]: lost connection after RCPT from c[192.0.2.1]", LOG_LOST,
		 "", "c[192.0.2.1]", "", "", ""},
		{HEAD "smtpd[1]: NOQUEUE: lost connection after DATA (9 bytes) from c[1]",
		 LOG_LOST, "", "c[1]", "", "", ""},
		{HEAD
		 "smtpd[1]: warning: c[192.0.2.1]: SASL PLAIN authentication failed: "
		 "bad, sasl_username=u",
		 LOG_AUTH_FAILED, "", "c[192.0.2.1]", "", "", ""},
		{HEAD "smtpd[1]: connect from c[192.0.2.1]", LOG_CONNECT, "",
		 "c[192.0.2.1]", "", "", ""},
		{HEAD "smtpd[1]: disconnect from c[192.0.2.1] quit=1 commands=1",
		 LOG_DISCONNECT, "", "c[192.0.2.1]", "", "", ""},
		{HEAD
		 "smtp[1]: AB12345678: host h[192.0.2.1] said: 450 no (in reply to x)",
		 LOG_SOFT, "AB12345678", "", "", "", ""},
		{HEAD "postsuper[1]: AB12345678: placed on hold", LOG_HELD, "AB12345678",
		 "", "", "", ""},
		{HEAD "postscreen[1]: WHITELISTED [192.0.2.1]:99", LOG_POSTSCREEN, "",
		 "[192.0.2.1]", "", "", ""},
		{HEAD "tlsproxy[1]: CONNECT from [192.0.2.1]:99", LOG_POSTSCREEN, "",
		 "[192.0.2.1]", "", "", ""},
		{HEAD "anvil[1]: statistics: max cache size 9 at Nov 24 10:30:06",
		 LOG_STATISTICS, "", "", "", "", ""},
		{HEAD "smtpd[1]: warning: AB12345678: odd", LOG_OTHER, "AB12345678", "",
		 "", "", ""},
		{"Nov 24 10:00:00 mail out/submission/smtpd[1]: AB12345678: client=c[1]",
		 LOG_CLIENT, "AB12345678", "c[1]", "", "", ""},
		{"<22>1 2026-11-24T10:00:00Z mail postfix/qmgr 1 - [a b=\"]\"] "
		 "AB12345678: "
		 "removed",
		 LOG_REMOVED, "AB12345678", "", "", "", ""},
		{"<22>Nov 24 10:00:00 mail postfix/qmgr[1]: AB12345678: removed",
		 LOG_REMOVED, "AB12345678", "", "", "", ""},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct log_line l;

		if (!log_line_parse(str_from(rows[i].line), REFERENCE, &l))
			fail_msg("no log line: %s", rows[i].line);
		if (l.kind != rows[i].kind)
			fail_msg("%s is %s", rows[i].line, log_kind_name(l.kind));
		assert_true(str_eq(l.id, str_from(rows[i].id)));
		if (!str_eq(l.client, str_from(rows[i].client)))
			fail_msg("%s has the client " PRI_STR, rows[i].line,
				 STR_ARG(l.client));
		assert_true(str_eq(l.from, str_from(rows[i].from)));
		assert_true(str_eq(l.to, str_from(rows[i].to)));
		assert_true(str_eq(l.link, str_from(rows[i].link)));
	}
}

static void
delivery(void **state)
{
	struct log_line l;

	IGNORE(state == NULL);
	assert_true(log_line_parse(
		STR(HEAD
		    "smtp[77]: AB12345678: to=<a@x>, orig_to=<b@x>, "
		    "relay=mx[192.0.2.1]:25, conn_use=3, delay=5.4, "
		    "delays=0.31/0.02/4/1, tls=may:none, dsn=5.1.1, status=bounced "
		    "(host mx[192.0.2.1] said: 550 (no) (in reply to RCPT TO command))"),
		REFERENCE, &l));
	assert_true(str_eq(l.orig_to, STR("b@x")));
	assert_true(str_eq(l.relay, STR("mx[192.0.2.1]:25")));
	assert_true(str_eq(l.tls, STR("may:none")));
	assert_true(str_eq(l.dsn, STR("5.1.1")));
	assert_true(str_eq(l.status, STR("bounced")));
	assert_true(str_eq(l.reason, STR("host mx[192.0.2.1] said: 550 (no) (in reply to "
					 "RCPT TO command)")));
	assert_int_equal(l.conn_use, 3);
	assert_int_equal(l.pid, 77);
	assert_true(l.has_delays);
	assert_true(l.delay > 5.39 && l.delay < 5.41);
	assert_true(l.delays[0] > 0.30 && l.delays[0] < 0.32);
	assert_true(l.delays[2] > 3.99 && l.delays[2] < 4.01);
}

static void
not_log_lines(void **state)
{
	static const char *const rows[] = {
		"",
		"x",
		"Nov 24 10:00:00",
		"Nov 24 10:00:00 mail",
		"Nov 24 10:00:00 mail no tag",
		"postfix/smtpd[1]: AB12345678: removed",
		"Nov 24 10:00:00 mail : text",
	};
	struct log_line l;

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(log_line_parse(str_from(rows[i]), REFERENCE, &l));
}

static void
queue_ids(void **state)
{
	static const struct {
		const char *text;
		bool is_id;
	} rows[] = {
		{"AB12345678", true},       {"ABCDEF", true},
		{"ABCDE", false},           {"ab12345678", false},
		{"4dKtRq3Xw1z9bFd", true},  {"4dKtRq3Xw19bFd", false},
		{"4dKtRa3Xw1z9bFd", false}, {"NOQUEUE", false},
		{"statistics", false},      {"", false},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(log_is_queue_id(str_from(rows[i].text)), rows[i].is_id);
	assert_true(str_eq(log_quick_id(STR(HEAD "qmgr[1]: AB12345678: removed")),
			   STR("AB12345678")));
	assert_true(str_eq(log_quick_id(STR(HEAD "x[1]: warning: AB12345678: y")),
			   STR("AB12345678")));
	assert_int_equal(log_quick_id(STR(HEAD "smtpd[1]: connect from x")).len, 0);
	assert_true(str_eq(log_quick_id(STR("2026-11-24T10:00:00Z m postfix/qmgr 1 - - "
					    "AB12345678: removed")),
			   STR("AB12345678")));
	assert_true(str_eq(log_quick_link(STR("x (250 Ok: queued as AB12345678)")),
			   STR("AB12345678")));
	assert_true(str_eq(log_quick_link(STR("x notification: AB12345678\r")),
			   STR("AB12345678")));
	assert_int_equal(log_quick_link(STR("x commands=7")).len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(delivery),
		cmocka_unit_test(not_log_lines),
		cmocka_unit_test(queue_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
