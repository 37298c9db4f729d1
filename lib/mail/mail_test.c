/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/base64.h"
#include "mail/date.h"
#include "mail/delay.h"
#include "mail/dsn.h"
#include "mail/dsn_request.h"
#include "mail/header.h"
#include "mail/token.h"
#include "mail/xtext.h"

static void
test_delay(void **state)
{
	static const struct {
		int64_t usec;
		unsigned decimals;
		const char *text;
	} rows[] = {
		{0, 2, "0"},
		{4999, 2, "0"},
		{5000, 2, "0.01"},
		{20000, 2, "0.02"},
		{310000, 2, "0.31"},
		{314999, 2, "0.31"},
		{315000, 2, "0.32"},
		{1000000, 2, "1"},
		{1240000, 2, "1.2"},
		{5000000, 2, "5"},
		{9949999, 2, "9.9"},
		{9950000, 2, "10"},
		{12400000, 2, "12"},
		{12500000, 2, "13"},
		{-5, 2, "0"},
		{310000, 0, "0"},
		{510000, 0, "1"},
		{310, 6, "0.00031"},
		{86400000000, 2, "86400"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();

		assert_string_equal(
			str_c(mem, delay_format(mem, rows[i].usec, rows[i].decimals)),
			rows[i].text);
		arena_free(&mem);
	}
}

static void
test_dsn(void **state)
{
	static const struct {
		int code;
		const char *text;
		const char *status;
	} rows[] = {
		{250, "2.0.0 Ok", "2.0.0"},
		{250, "Ok", "2.0.0"},
		{550, "5.1.1 no", "5.1.1"},
		{550, "4.1.1 odd", "5.0.0"},
		{450, "4.7.1", "4.7.1"},
		{450, "4.7.1234 x", "4.0.0"},
		{354, "go", "4.0.0"},
		{199, "x", "5.5.0"},
		{600, "5.0.0", "5.5.0"},
		{421, "4.3.2x", "4.0.0"},
		{554, "5.7.123 policy", "5.7.123"},
	};
	struct arena *mem = arena_new();
	struct str rest;
	struct dsn d;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(
			dsn_status_from_reply(rows[i].code, str_from(rows[i].text)).text,
			rows[i].status);
	assert_string_equal(
		dsn_status_split("5.0.0", STR(" 5.1.6 User has moved"), &rest).text,
		"5.1.6");
	assert_true(str_eq(rest, STR("User has moved")));
	assert_string_equal(dsn_status_split("5.0.0", STR("no code"), &rest).text,
			    "5.0.0");
	assert_true(str_eq(rest, STR("no code")));
	d = dsn_printf(mem, "4.4.1", "connect to %s", "x");
	assert_int_equal(d.action, DSN_DELAYED);
	assert_string_equal(dsn_action_name(d.action), "delayed");
	assert_string_equal(dsn_status_with_class(d.status, '5').text, "5.4.1");
	arena_free(&mem);
}

static void
test_requests(void **state)
{
	struct arena *mem = arena_new();
	enum dsn_ret ret;
	unsigned mask;
	struct err err;
	struct str s;

	(void)state;
	assert_true(dsn_notify_parse(STR("success,Failure"), &mask, &err));
	assert_int_equal(mask, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE);
	assert_string_equal(str_c(mem, dsn_notify_format(mem, mask)), "SUCCESS,FAILURE");
	assert_false(dsn_notify_parse(STR("never,delay"), &mask, &err));
	assert_false(dsn_notify_parse(STR("sometimes"), &mask, &err));
	assert_false(dsn_notify_parse(STR(""), &mask, &err));
	assert_true(dsn_ret_parse(STR("hdrs"), &ret, &err));
	assert_int_equal(ret, DSN_RET_HDRS);
	assert_false(dsn_ret_parse(STR("all"), &ret, &err));
	assert_true(
		dsn_orcpt_parse(mem, STR("RFC822;a+2Bb@example.org"), false, &s, &err));
	assert_string_equal(str_c(mem, s), "rfc822;a+b@example.org");
	assert_string_equal(str_c(mem, dsn_orcpt_format(mem, s)),
			    "rfc822;a+2Bb@example.org");
	assert_true(dsn_orcpt_parse(mem, STR("utf-8;a\\x{e9}\\x{1F600}\\x{2B}+=\\b"),
				    true, &s, &err));
	assert_string_equal(str_c(mem, s), "utf-8;a\xc3\xa9\xf0\x9f\x98\x80++=\\b");
	assert_string_equal(str_c(mem, dsn_orcpt_format(mem, s)),
			    "utf-8;a\\x{E9}\\x{1F600}\\x{2B}\\x{2B}\\x{3D}\\x{5C}b");
	assert_false(dsn_orcpt_parse(mem, STR("utf-8;\\x{D800}"), true, &s, &err));
	assert_false(dsn_orcpt_parse(mem, STR("utf-8;\\x{110000}"), true, &s, &err));
	assert_false(dsn_orcpt_parse(mem, STR("utf-8;\\x{0A}"), true, &s, &err));
	assert_false(dsn_orcpt_parse(mem, STR("utf-8;\\x{41"), true, &s, &err));
	assert_false(dsn_orcpt_parse(mem, STR("utf-8;\\x{}"), true, &s, &err));
	assert_string_equal(str_c(mem, dsn_orcpt_format(mem, STR("utf-8;\xff"))),
			    "utf-8;?");
	assert_false(dsn_orcpt_parse(mem, STR("x400;abc"), false, &s, &err));
	assert_false(dsn_orcpt_parse(mem, STR("rfc822;a+2b"), false, &s, &err));
	arena_free(&mem);
}

static void
test_codecs(void **state)
{
	static const struct {
		struct str raw;
		const char *base64;
		const char *xtext;
	} rows[] = {
		{STR_INIT(""), "", ""},
		{STR_INIT("f"), "Zg==", "f"},
		{STR_INIT("fo"), "Zm8=", "fo"},
		{STR_INIT("foo"), "Zm9v", "foo"},
		{STR_INIT("a=b+c d"), "YT1iK2MgZA==", "a+3Db+2Bc+20d"},
		{STR_INIT("\0\xff\n"), "AP8K", "+00+FF+0A"},
	};
	static const char *const bad64[] = {
		"Z", "Zg=", "Zg", "Zh==", "====", "Z===", "Zg==Zg==", "Zm9*"};
	struct arena *mem = arena_new();
	struct str s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(str_c(mem, base64_encode(mem, rows[i].raw)),
				    rows[i].base64);
		assert_true(base64_decode(mem, str_from(rows[i].base64), &s));
		assert_true(str_eq(s, rows[i].raw));
		assert_string_equal(str_c(mem, xtext_encode(mem, rows[i].raw)),
				    rows[i].xtext);
		assert_true(xtext_decode(mem, str_from(rows[i].xtext), &s));
		assert_true(str_eq(s, rows[i].raw));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad64); i++)
		assert_false(base64_decode(mem, str_from(bad64[i]), &s));
	assert_false(xtext_decode(mem, STR("a b"), &s));
	assert_false(xtext_decode(mem, STR("+4"), &s));
	assert_false(xtext_decode(mem, STR("+ff"), &s));
	arena_free(&mem);
}

static void
test_date(void **state)
{
	const struct tm tm = {.tm_year = 126,
			      .tm_mon = 10,
			      .tm_mday = 4,
			      .tm_hour = 1,
			      .tm_min = 2,
			      .tm_sec = 3,
			      .tm_wday = 3,
			      .tm_gmtoff = -12600,
			      .tm_zone = "XST"};
	struct arena *mem = arena_new();

	(void)state;
	assert_string_equal(str_c(mem, date_format_tm(mem, &tm)),
			    "Wed,  4 Nov 2026 01:02:03 -0330 (XST)");
	arena_free(&mem);
}

static void
test_splitter(void **state)
{
	static const struct {
		const char *line;
		enum header_event event;
		const char *field;
	} rows[] = {
		{"From: a", HEADER_MORE, ""}, {"Subject : b", HEADER_FIELD, "From: a"},
		{"\tc", HEADER_MORE, ""},     {"X:", HEADER_FIELD, "Subject : b\n\tc"},
		{"", HEADER_END_LINE, "X:"},  {"From: body", HEADER_BODY, ""},
	};
	struct arena *mem = arena_new();
	struct header_splitter s;
	struct header_field f;
	struct str field;

	(void)state;
	header_splitter_init(mem, &s, 1000);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(header_splitter_line(&s, str_from(rows[i].line), &field),
				 rows[i].event);
		assert_string_equal(str_c(mem, field), rows[i].field);
	}
	header_splitter_init(mem, &s, 10);
	assert_int_equal(header_splitter_line(&s, STR("Subject: much too long"), &field),
			 HEADER_MORE);
	assert_true(header_splitter_end(&s, &field));
	assert_true(str_eq(field, STR("Subject: m")));
	assert_true(s.cut);
	assert_false(header_splitter_end(&s, &field));

	/* a line in pieces */
	header_splitter_init(mem, &s, 12);
	assert_int_equal(header_splitter_line(&s, STR("To: "), &field), HEADER_MORE);
	header_splitter_more(&s, STR("one,"));
	header_splitter_more(&s, STR("two,three"));
	assert_true(s.cut);
	assert_int_equal(header_splitter_line(&s, STR(""), &field), HEADER_END_LINE);
	assert_true(str_eq(field, STR("To: one,two,")));
	assert_true(header_field_parse(STR("to:\n <a@b>"), &f));
	assert_int_equal(f.row->kind, HEADER_TO);
	assert_true(str_eq(f.value, STR("<a@b>")));
	assert_false(header_field_parse(STR("no field"), &f));
	assert_false(header_field_parse(STR(": x"), &f));
	assert_string_equal(str_c(mem, header_unfold(mem, STR("a\n\t b\n c"))), "a b c");
	assert_string_equal(str_c(mem, header_fold(mem, STR("To"), STR("a,\nb"))),
			    "To: a,\n\tb");
	for (int k = HEADER_OTHER + 1; k < HEADER_KINDS; k++)
		assert_int_equal(header_name_get((enum header_kind)k)->kind, k);
	arena_free(&mem);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *internal;
		const char *smtp;
		const char *header;
	} rows[] = {
		{"user@example.org", "user@example.org", "user@example.org"},
		{"a b@example.org", "\"a b\"@example.org", "\"a b\"@example.org"},
		{"a\"b@example.org", "\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org"},
		{"a@b@example.org", "\"a@b\"@example.org", "\"a@b\"@example.org"},
		{".a@example.org", "\".a\"@example.org", "\".a\"@example.org"},
		{"user", "user", "user"},
		{"", "", ""},
	};
	struct arena *mem = arena_new();
	struct str user;
	struct str ext;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str internal = str_from(rows[i].internal);

		assert_string_equal(str_c(mem, address_quote_smtp(mem, internal)),
				    rows[i].smtp);
		assert_string_equal(str_c(mem, address_quote_header(mem, internal)),
				    rows[i].header);
		assert_true(
			str_eq(address_unquote(mem, str_from(rows[i].smtp)), internal));
	}
	assert_true(address_extension(STR("user+list"), "+", true, &user, &ext));
	assert_true(str_eq(user, STR("user")));
	assert_true(str_eq(ext, STR("list")));
	assert_false(address_extension(STR("+list"), "+", true, &user, &ext));
	assert_false(address_extension(STR("owner-list"), "-", true, &user, &ext));
	assert_false(address_extension(STR("mailer-daemon"), "-", true, &user, &ext));
	assert_true(hostname_check(STR("mail.example.org"), false, &err));
	assert_false(hostname_check(STR("-bad"), false, &err));
	assert_false(hostname_check(STR(""), false, &err));
	assert_false(hostname_check(STR("a..b"), false, &err));
	assert_true(hostaddr_is_valid(STR("2001:db8::1")));
	assert_false(hostaddr_is_valid(STR("192.0.2.256")));
	arena_free(&mem);
}

static void
test_words(void **state)
{
	static const char *const rows[][2] = {
		{"\\back", "back"},   {"b\\ c", "\"b c\""},
		{"x\\.y", "\"x.y\""}, {"\\b\\\"c", "\"b\\\"c\""},
		{"\\\\", "\"\\\\\""}, {"\"a\tb\n  c\"", "\"a b   c\""},
		{"[a\tb]", "[a b]"},  {"(a\tb)", "(a\tb)"},
		{"x \\", "x "},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token_list list = token_scan(mem, str_from(rows[i][0]), 100, NULL);

		assert_string_equal(str_c(mem, token_print(mem, list, TOKEN_HEADER)),
				    rows[i][1]);
	}
	arena_free(&mem);
}

static bool
to_other_domain(void *arg, struct arena *mem, struct str external, struct str *new_out,
		struct err *err)
{
	struct str local;
	struct str domain;

	(void)arg;
	(void)err;
	if (address_split(external, &local, &domain) &&
	    str_eq(domain, STR("old.example")))
		*new_out = address_join(mem, local, STR("new.example"));
	return true;
}

static void
test_lists(void **state)
{
	static const struct {
		const char *value;
		const char *internal;  /* joined by blanks */
		const char *rewritten; /* NULL: unchanged */
	} rows[] = {
		{"a@x, B <b@y>", "a@x b@y", NULL},
		{"Team: a@x, b@y;", "a@x b@y", NULL},
		{"\"Q, uoted\" <\"a b\"@old.example> (comment)", "a b@old.example", ""},
		{"<>", "", NULL},
		{"a@x b@y", "a@x b@y", NULL},
		{"undisclosed-recipients:;", "", NULL},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf *joined = buf_new(mem, 1000);
		struct address_list list;
		struct str value;
		bool changed;
		struct err err;

		address_list_parse(mem, str_from(rows[i].value), 1000, &list);
		for (size_t k = 0; k < list.count; k++)
			buf_printf(joined, "%s" PRI_STR, k == 0 ? "" : " ",
				   STR_ARG(list.internal[k]));
		assert_string_equal(joined->p, rows[i].internal);
		assert_true(address_list_rewrite(mem, str_from(rows[i].value), 1000,
						 to_other_domain, NULL, &value, &changed,
						 &err));
		assert_int_equal(changed, rows[i].rewritten != NULL);
		if (!changed)
			assert_true(str_eq(value, str_from(rows[i].value)));
		else
			assert_true(str_find(value, STR("\"a b\"@new.example")) <
				    value.len);
	}
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),     cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_requests),  cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_date),      cmocka_unit_test(test_splitter),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_words),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
