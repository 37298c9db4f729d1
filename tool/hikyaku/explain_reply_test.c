/* SPDX-License-Identifier: Apache-2.0 */
#include "explain_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

enum { ROWS_MIN = 80 };

static void /* NOLINTNEXTLINE(readability-function-size): rows */
meanings(void **state)
{
	static const struct {
		const char *daemon, *dsn, *text;
		const char *part; /* of the meaning; NULL: none */
	} rows[] = {
		{"smtp", "4.4.1", "connect to a[192.0.2.1]:25: Connection refused",
		 "no mail server listens"},
		{"smtp", "4.4.1", "connect to a[192.0.2.1]:25: Connection timed out",
		 "did not answer in time"},
		{"smtp", "4.4.1", "connect to a[2001:db8::1]:25: Network is unreachable",
		 "no route"},
		{"smtp", "5.4.4",
		 "Host or domain name not found. Name service error for name=a type=A: "
		 "Host not found",
		 "no such domain"},
		{"smtp", "4.4.3",
		 "Host or domain name not found. Name service error for name=a type=MX: "
		 "Host not found, try again",
		 "did not answer"},
		{"smtp", "4.7.1",
		 "host a said: 450 4.7.1 Greylisted (in reply to RCPT TO command)",
		 "come back later"},
		{"smtp", "5.1.1",
		 "host a said: 550 5.1.1 User unknown (in reply to RCPT TO command)",
		 "no such recipient"},
		{"smtp", "5.2.2",
		 "host a said: 552 5.2.2 Mailbox full (in reply to RCPT TO command)",
		 "mailbox is full"},
		{"smtp", "4.7.5", "Server certificate not verified", "certificate"},
		{"smtp", "4.7.4", "TLS is required, but was not offered by host a",
		 "does not offer it"},
		{"smtp", "5.7.8", "SASL authentication failed; server a said: 535 no",
		 "user name and password"},
		{"smtp", "5.4.6", "mail for a loops back to myself",
		 "back to this machine"},
		{"smtp", "4.4.2",
		 "conversation with a timed out while sending end of data -- message may "
		 "be sent more than once",
		 "may arrive twice"},
		{"local", "5.1.1", "unknown user: \"x\"", "on this machine"},
		{"smtpd", "", "554 5.7.1 <a@b>: Relay access denied", "mynetworks"},
		{"smtp", "5.7.1", "host a said: 554 5.7.1 <a@b>: Relay access denied",
		 "for this domain from here"},
		{"error", "4.4.1",
		 "delivery temporarily suspended: connect to a[1]:25: Connection refused",
		 "not even tried"},
		{"smtp", "4.9.9", "host a said: 499 hm", "tried again"},
		{"smtp", "5.9.9", "host a said: 599 hm", "for good"},
		{"smtp", "", "host a said: 599 5.7.9 hm", "Refused by a rule"},
		{"smtp", "2.0.0", "250 ok", NULL},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct explanation x = explain_reply(&(struct reply_facts){
			.daemon = str_from(rows[i].daemon),
			.dsn = str_from(rows[i].dsn),
			.text = str_from(rows[i].text),
		});

		if (rows[i].part == NULL) {
			assert_null(x.meaning);
			continue;
		}
		if (x.meaning == NULL || strstr(x.meaning, rows[i].part) == NULL)
			fail_msg("%s: %s", rows[i].text,
				 x.meaning == NULL ? "no meaning" : x.meaning);
	}
	assert_true(explain_count() >= ROWS_MIN);
}

static void
steps(void **state)
{
	static const struct {
		const char *daemon, *text;
		enum reply_step step;
	} rows[] = {
		{"smtp", "connect to a[1]:25: x", STEP_CONNECT},
		{"smtp", "host a refused to talk to me: 554 x", STEP_GREETING},
		{"smtp", "host a said: 5 TLS (in reply to MAIL FROM command)", STEP_MAIL},
		{"smtp", "host a said: 5 x (in reply to end of DATA command)", STEP_DATA},
		{"smtp", "lost connection with a while sending RCPT TO", STEP_RCPT},
		{"lmtp", "250 ok", STEP_ANY},
		{"pipe", "x", STEP_LOCAL},
		{"smtpd", "x", STEP_IN},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(explain_step(&(struct reply_facts){
					 .daemon = str_from(rows[i].daemon),
					 .text = str_from(rows[i].text),
				 }),
				 rows[i].step);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meanings),
		cmocka_unit_test(steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
