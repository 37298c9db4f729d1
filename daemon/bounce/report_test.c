/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/bounce_template.h"

static const struct report_recipient recipient = {
	.address = STR_INIT("b c@example.org"),
	.original = STR_INIT("alias@example.net"),
	.dsn_orcpt = STR_INIT("rfc822;orig@example.com"),
	.dsn = STR_INIT("5.1.1"),
	.action = STR_INIT("delayed"),
	.reason = STR_INIT("host mx said: no"),
	.mta_name = STR_INIT("mx.example.org"),
	.diag_type = STR_INIT("smtp"),
	.diag_text = STR_INIT("550 no"),
};

static const struct bounce_template words = {
	.charset = STR_INIT("us-ascii"),
	.from = STR_INIT("Mail Delivery System <MAILER-DAEMON>"),
	.subject = STR_INIT("It came back"),
	.postmaster_subject = STR_INIT("Copy: it came back"),
	.text = STR_INIT("This is the mail system at host mail.example.net.\n"),
};

static struct report
sample(void)
{
	return (struct report){
		.words = &words,
		.to = STR("s@example.com"),
		.sender = STR("s@example.com"),
		.queue_id = STR("ABC123"),
		.boundary_host = STR("mail.example.net"),
		.mail_name = STR("Hikyaku"),
		.reporting_mta = STR("mail.example.net"),
		.envelope_id = STR_EMPTY,
		.message_id = STR_EMPTY,
		.now_us = 1000000,
		.recipients = &recipient,
		.n_recipients = 1,
	};
}

static const char *
text_of(struct arena *mem, const struct report *r)
{
	struct buf *out = buf_new(mem, 100000);

	report_begin(mem, out, r);
	buf_add_c(out, "original\n");
	report_end(mem, out, r);
	return out->p;
}

static void
has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void
lacks(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" in:\n%s", part, text);
}

static size_t
count(const char *text, const char *part)
{
	size_t n = 0;

	for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
		n++;
	return n;
}

static void
test_failure(void **state)
{
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text = text_of(mem, &r);

	(void)state;
	assert_ptr_equal(strstr(text, "From: Mail Delivery System <MAILER-DAEMON>\n"
				      "Subject: It came back\n"
				      "To: s@example.com\n"
				      "Auto-Submitted: auto-replied\n"),
			 text);
	has(text, "Content-Type: multipart/report; report-type=delivery-status;\n"
		  "\tboundary=\"ABC123.1/mail.example.net\"\n");
	/* Three parts and the end. */
	assert_int_equal(count(text, "\n--ABC123.1/mail.example.net\n"), 3);
	has(text, "original\n\n--ABC123.1/mail.example.net--\n");
	has(text, "\n<\"b c\"@example.org> (expanded from <alias@example.net>): host mx "
		  "said: no\n");
	has(text, "Final-Recipient: rfc822; \"b c\"@example.org\n"
		  "Original-Recipient: rfc822;orig@example.com\n"
		  "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.example.org\n"
		  "Diagnostic-Code: smtp; 550 no\n");
	has(text,
	    "Content-Description: Undelivered Message\n"
	    "Content-Type: message/rfc822\n\nReturn-Path: <s@example.com>\noriginal\n");
	lacks(text, "8bit");
	lacks(text, "Original-Envelope-Id");
	lacks(text, "Arrival-Date");
	lacks(text, "References");
	arena_free(&mem);
}

static void
test_what_may_be_there(void **state)
{
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	r.envelope_id = STR("id 1\n2");
	r.message_id = STR("<m@x>");
	r.arrival_us = 1000000;
	r.is_8bit = true;
	r.headers_only = true;
	text = text_of(mem, &r);
	has(text, "References: <m@x>\nIn-Reply-To: <m@x>\n");
	has(text, "Original-Envelope-Id: id 1?2\n");
	has(text, "Arrival-Date: Thu,  1 Jan 1970 ");
	has(text, "Content-Type: text/plain; charset=utf-8\n"
		  "Content-Transfer-Encoding: 8bit\n");
	has(text, "Content-Description: Undelivered Message Headers\n"
		  "Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: 8bit\n");
	has(text, "Content-Type: message/delivery-status\n\n");
	arena_free(&mem);
}

static void
test_without_details(void **state)
{
	struct report_recipient plain = recipient;
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	plain.original = plain.dsn_orcpt = plain.mta_name = plain.diag_text = STR_EMPTY;
	r.recipients = &plain;
	r.sender = STR("MAILER-DAEMON@mail.example.net");
	text = text_of(mem, &r);
	lacks(text, "expanded from");
	lacks(text, "Remote-MTA");
	has(text, "X-Postfix-Sender: rfc822; MAILER-DAEMON@mail.example.net\n");
	has(text, "Original-Recipient: rfc822;\"b c\"@example.org\n");
	has(text, "Diagnostic-Code: X-Postfix; host mx said: no\n");
	has(text, "Return-Path: <MAILER-DAEMON@mail.example.net>\n");
	arena_free(&mem);
}

/* Nothing that a server said becomes a line of the report. */
static void
test_hostile_reason(void **state)
{
	struct report_recipient bad = recipient;
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	bad.reason = STR("no\n--ABC123.1/mail.example.net--\nX: y\r\n\x01\xff");
	bad.diag_text = STR("550 no\nAction: delivered");
	bad.mta_name = STR("mx\nStatus: 2.0.0");
	r.recipients = &bad;
	text = text_of(mem, &r);
	assert_int_equal(count(text, "\n--ABC123.1/mail.example.net--"), 1);
	lacks(text, "\nX: y");
	lacks(text, "\nAction: delivered");
	lacks(text, "\nStatus: 2.0.0");
	lacks(text, "\x01");
	lacks(text, "\xff");
	arena_free(&mem);
}

static void
test_delay(void **state)
{
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	r.kind = REPORT_DELAY;
	r.expires_us = 1000000;
	text = text_of(mem, &r);
	has(text, "Subject: It came back\n");
	has(text, "Action: delayed\n");
	has(text, "Will-Retry-Until: Thu,  1 Jan 1970 ");
	arena_free(&mem);
}

static void
test_postmaster(void **state)
{
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	r.audience = REPORT_TO_POSTMASTER_UNDELIVERABLE;
	text = text_of(mem, &r);
	has(text, "Auto-Submitted: auto-generated\n");
	lacks(text, "This is the mail system at host");
	has(text, "Subject: Copy: it came back\n");
	r.audience = REPORT_TO_SENDER;
	has(text_of(mem, &r), "Subject: It came back\n");
	arena_free(&mem);
}

static void
test_global(void **state)
{
	struct report_recipient r8 = recipient;
	struct arena *mem = arena_new();
	struct report r = sample();
	const char *text;

	(void)state;
	r8.address = STR("\xc3\xa9@example.org");
	r.recipients = &r8;
	r.utf8 = r.utf8_text = true;
	text = text_of(mem, &r);
	has(text, "report-type=global-delivery-status;");
	has(text, "Content-Type: message/global-delivery-status\n"
		  "Content-Transfer-Encoding: 8bit\n");
	has(text, "Final-Recipient: utf-8; \xc3\xa9@example.org\n");
	has(text, "Content-Type: message/global\n");
	arena_free(&mem);
}

static const char *const wrap_rows[][2] = {
	{"", "\n"},
	{"one", "one\n"},
	{"  one \n two\t", "one two\n"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cc",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
	 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
	 "    cc\n"},
};

static void
test_wrap(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrap_rows); i++) {
		struct arena *mem = arena_new();
		struct buf *out = buf_new(mem, 1000);

		report_wrap(out, str_from(wrap_rows[i][0]));
		assert_string_equal(out->p, wrap_rows[i][1]);
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_what_may_be_there),
		cmocka_unit_test(test_without_details),
		cmocka_unit_test(test_hostile_reason),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
