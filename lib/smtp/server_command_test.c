/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "smtp/server_attribute.h"
#include "smtp/server_command.h"

static struct smtp_words
split(struct arena *mem, const char *line)
{
	struct smtp_words words;

	smtp_words_split(mem, str_from(line), &words);
	return words;
}

static void
test_verbs(void **state UNUSED)
{
	assert_int_equal(smtp_verb_find(STR("mail")), SMTP_VERB_MAIL);
	assert_int_equal(smtp_verb_find(STR("XForward")), SMTP_VERB_XFORWARD);
	assert_int_equal(smtp_verb_find(STR("MAILS")), SMTP_VERBS);
	assert_int_equal(smtp_verb_find(STR_EMPTY), SMTP_VERBS);
	assert_string_equal(smtp_verb_name(SMTP_VERB_BDAT), "BDAT");
	assert_string_equal(smtp_verb_name(SMTP_VERBS), "UNKNOWN");
	assert_int_equal(smtp_verb_flags(SMTP_VERB_DATA), SMTP_VERB_LAST);
	assert_int_equal(smtp_verb_flags(SMTP_VERB_RSET), SMTP_VERB_JUNK);
}

/* Words with | between; ! at the end of one that is not closed. */
static void
test_words(void **state UNUSED)
{
	static const struct {
		const char *line;
		const char *words;
	} rows[] = {
		{"", ""},
		{" \t ", ""},
		{"NOOP", "NOOP"},
		{"  NOOP  x\ty ", "NOOP|x|y"},
		{"MAIL FROM:<a@b> SIZE=1", "MAIL|FROM:|<a@b>|SIZE=1"},
		{"MAIL FROM: <a@b>", "MAIL|FROM:|<a@b>"},
		{"mail from:a@b", "mail|from:|a@b"},
		{"RCPT TO:<a b@c>", "RCPT|TO:|<a b@c>"},
		{"RCPT FROM:<a>", "RCPT|FROM:<a>"},
		{"VRFY TO:<a>", "VRFY|TO:<a>"},
		{"MAIL x FROM:<a>", "MAIL|x|FROM:<a>"},
		{"VRFY \"a b\"@c d", "VRFY|\"a b\"@c|d"},
		{"VRFY \"a\\\" b\"@c d", "VRFY|\"a\\\" b\"@c|d"},
		{"VRFY <\"a> b\"@c> d", "VRFY|<\"a> b\"@c>|d"},
		{"VRFY <<a b> c> d", "VRFY|<<a b> c>|d"},
		{"VRFY <a b", "VRFY|<a b!"},
		{"VRFY \"a b", "VRFY|\"a b!"},
		{"VRFY a\\\"b c\" d", "VRFY|a\\\"b c\"|d"},
	};
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct smtp_words words = split(mem, rows[i].line);
		struct buf *out = buf_new(mem, 1000);

		for (size_t k = 0; k < words.n; k++)
			buf_printf(out, "%s" PRI_STR, k > 0 ? "|" : "",
				   STR_ARG(words.word[k]));
		if (words.open)
			buf_add_char(out, '!');
		assert_string_equal(out->p, rows[i].words);
	}
	arena_free(&mem);
}

static void
test_words_at_nul_and_limit(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct buf *line = buf_new(mem, 100000);
	struct smtp_words words;

	smtp_words_split(mem, str_from_mem("NOOP \0x y", 9), &words);
	assert_int_equal(words.n, 1);
	for (int i = 0; i < 5000; i++)
		buf_add_c(line, "x ");
	smtp_words_split(mem, buf_str(line), &words);
	assert_int_equal(words.n, SMTP_WORDS_MAX);
	assert_int_equal(words.word[words.n - 1].len, 2 * (5000 - SMTP_WORDS_MAX + 1));
	assert_true(str_eq(
		smtp_words_join(mem, &(struct smtp_words){words.word, 3, false}, 1),
		STR("x x")));
	arena_free(&mem);
}

static void
test_header_like(void **state UNUSED)
{
	assert_true(smtp_is_header_like(STR("Subject:")));
	assert_true(smtp_is_header_like(STR("X-Y:z")));
	assert_false(smtp_is_header_like(STR(":")));
	assert_false(smtp_is_header_like(STR("FOO")));
	assert_false(smtp_is_header_like(STR("\xc3\xa9:")));
}

enum {
	STRICT = 1,
	DECLARED = 2,
	NO_DSN = 4,
	NO_UTF8 = 8,
	MUST_DECLARE = 16,
	LOGGED_IN = 32
};

static struct smtp_offer
offer_of(unsigned how)
{
	return (struct smtp_offer){.strict = (how & STRICT) != 0,
				   .auth = (how & LOGGED_IN) != 0,
				   .dsn = (how & NO_DSN) == 0,
				   .utf8 = (how & NO_UTF8) == 0,
				   .must_declare = (how & MUST_DECLARE) != 0};
}

struct row {
	unsigned how;
	const char *arguments;
	const char *result; /* what was understood, or the reply; W: with a warning */
};

static const struct row mail_rows[] = {
	{0, "FROM:<>", "<> -1"},
	{0, "FROM:<a@b.example>", "<a@b.example> -1"},
	{0, "FROM: a@b.example SIZE=77", "<a@b.example> 77"},
	{0, "FROM:<a@b.example> SIZE=0 BODY=7bit", "<a@b.example> 0 7bit"},
	{0, "FROM:<a@b.example> BODY=7BIT BODY=8bitmime", "<a@b.example> -1 8bit"},
	{0, "FROM:<a@b.example> RET=full ENVID=x+2By",
	 "<a@b.example> -1 ret=1 envid=x+y"},
	{0, "FROM:<\"a b\"@c.example>", "<a b@c.example> -1"},
	{0, "FROM:<@r,@s:a@b.example>", "<a@b.example> -1"},
	{0, "FROM:<(c)a@b.example>", "<a@b.example> -1"},
	{0, "FROM:<a@b.example> AUTH=<>", "<a@b.example> -1"},
	{0, "FROM:<a@b.example> AUTH=x AUTH=y", "<a@b.example> -1"},
	{0, "FROM:<a@b.example> AUTH", "555 5.5.4 Unsupported option: AUTH"},
	{LOGGED_IN, "FROM:<a@b.example> AUTH=<>", "<a@b.example> -1"},
	{LOGGED_IN, "FROM:<a@b.example> auth=x+2B", "<a@b.example> -1 auth=x+2B"},
	{LOGGED_IN, "FROM:<a@b.example> AUTH=", "<a@b.example> -1"},
	{LOGGED_IN, "FROM:<a@b.example> AUTH=x AUTH=y",
	 "503 5.5.4 Error: multiple AUTH= options"},
	{0, "FROM:<a@b.example.> SMTPUTF8", "<a@b.example.> -1 utf8"},
	{0, "FROM:<a@\xc3\xa9.example> SMTPUTF8", "<a@\xc3\xa9.example> -1 utf8"},
	{0, "FROM:<\xc3\xa9@b.example>", "<\xc3\xa9@b.example> -1"},
	{0, "FROM:<a@[192.0.2.1]>", "<a@[192.0.2.1]> -1"},
	{0, "", "501 5.5.4 Syntax: MAIL FROM:<address>"},
	{0, "FROM:", "501 5.5.4 Syntax: MAIL FROM:<address>"},
	{0, "FROM <a@b>", "501 5.5.4 Syntax: MAIL FROM:<address>"},
	{0, "TO:<a@b>", "501 5.5.4 Syntax: MAIL FROM:<address>"},
	{0, "FROM:<a@b", "501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@b..c>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@-b>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@1.2.3.4>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@[x]>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a,b@c>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a;b@c>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a b@c>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@b>SIZE=1", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@\xc3\xa9.example>", "W501 5.1.7 Bad sender address syntax"},
	{0, "FROM:<a@b> X=1", "555 5.5.4 Unsupported option: X=1"},
	{0, "FROM:<a@b> SIZE", "555 5.5.4 Unsupported option: SIZE"},
	{0, "FROM:<a@b> BODY=x", "555 5.5.4 Unsupported option: BODY=x"},
	{0, "FROM:<a@b> SIZE=", "501 5.5.4 Bad message size syntax"},
	{0, "FROM:<a@b> SIZE=-1", "501 5.5.4 Bad message size syntax"},
	{0, "FROM:<a@b> SIZE=9223372036854775808",
	 "552 5.3.4 Message size exceeds file system imposed limit"},
	{0, "FROM:<a@b> RET=x", "501 5.5.4 Bad RET parameter syntax"},
	{0, "FROM:<a@b> RET=FULL RET=FULL", "501 5.5.4 Bad RET parameter syntax"},
	{0, "FROM:<a@b> ENVID=", "501 5.5.4 Bad ENVID parameter syntax"},
	{0, "FROM:<a@b> ENVID=+0", "501 5.5.4 Bad ENVID parameter syntax"},
	{0, "FROM:<a@b> ENVID=a+00", "501 5.5.4 Bad ENVID parameter syntax"},
	{0, "FROM:<a@b> ENVID=a+0A", "501 5.5.4 Bad ENVID parameter syntax"},
	{NO_DSN, "FROM:<a@b> RET=FULL", "501 5.7.1 DSN support is disabled"},
	{NO_DSN, "FROM:<a@b> ENVID=x", "501 5.7.1 DSN support is disabled"},
	{NO_UTF8, "FROM:<a@b> SMTPUTF8", "555 5.5.4 Unsupported option: SMTPUTF8"},
	{STRICT, "FROM:<a@b>", "<a@b> -1"},
	{STRICT, "FROM:<>", "<> -1"},
	{STRICT, "FROM:a@b", "W501 5.1.7 Bad sender address syntax"},
	{STRICT, "FROM:<(c)a@b>", "W501 5.1.7 Bad sender address syntax"},
	{MUST_DECLARE, "FROM:<\xc3\xa9@b>",
	 "553 5.6.7 Must declare SMTPUTF8 to send unicode address"},
	{MUST_DECLARE, "FROM:<\xc3\xa9@b> SMTPUTF8", "<\xc3\xa9@b> -1 utf8"},
};

/* "<address> size" and what else was said. */
static struct str
tell_mail(struct arena *mem, const struct smtp_mail_command *mail)
{
	static const char *const bodies[] = {"", " 7bit", " 8bit"};
	struct buf *out = buf_new(mem, 1000);

	buf_printf(out, "<" PRI_STR "> %ld%s%s", STR_ARG(mail->address), (long)mail->size,
		   bodies[mail->body], mail->smtputf8 ? " utf8" : "");
	if (mail->ret != DSN_RET_NONE)
		buf_printf(out, " ret=%d", (int)mail->ret);
	if (mail->envid.len > 0)
		buf_printf(out, " envid=" PRI_STR, STR_ARG(mail->envid));
	if (mail->auth.len > 0)
		buf_printf(out, " auth=" PRI_STR, STR_ARG(mail->auth));
	return buf_str(out);
}

static struct str
tell_fault(struct arena *mem, const struct smtp_command_fault *fault)
{
	return str_concat(mem, fault->illegal.len > 0 ? STR("W") : STR_EMPTY,
			  fault->reply);
}

static void
test_mail(void **state UNUSED)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(mail_rows); i++) {
		const struct row *row = &mail_rows[i];
		const struct smtp_offer offer = offer_of(row->how);
		struct smtp_command_fault fault;
		struct smtp_mail_command mail;
		struct smtp_words words;
		struct str told;

		smtp_words_split(mem, str_printf(mem, "MAIL %s", row->arguments), &words);
		told = smtp_mail_parse(mem, &words, &offer, &mail, &fault)
			       ? tell_mail(mem, &mail)
			       : tell_fault(mem, &fault);
		assert_string_equal(str_c(mem, told), row->result);
	}
	arena_free(&mem);
}

static void
test_rcpt(void **state UNUSED)
{
	static const struct row rows[] = {
		{0, "TO:<a@b.example>", "<a@b.example>"},
		{0, "TO:<postmaster>", "<postmaster>"},
		{0, "TO:<a@b> NOTIFY=SUCCESS,delay ORCPT=rfc822;x+20y",
		 "<a@b> notify=10 orcpt=rfc822;x y"},
		{0, "TO:<a@b> ORCPT=rfc822;", "<a@b> orcpt=rfc822;"},
		{0, "TO:<>", "W501 5.1.3 Bad recipient address syntax"},
		{0, "TO:<a@b", "501 5.1.3 Bad recipient address syntax"},
		{0, "TO", "501 5.5.4 Syntax: RCPT TO:<address>"},
		{0, "TO:<a@b> SIZE=1", "555 5.5.4 Unsupported option: SIZE=1"},
		{0, "TO:<a@b> NOTIFY=x", "501 5.5.4 Error: Bad NOTIFY parameter syntax"},
		{0, "TO:<a@b> NOTIFY=NEVER,DELAY",
		 "501 5.5.4 Error: Bad NOTIFY parameter syntax"},
		{0, "TO:<a@b> ORCPT=x", "501 5.5.4 Error: Bad ORCPT parameter syntax"},
		{0, "TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;b",
		 "501 5.5.4 Error: Bad ORCPT parameter syntax"},
		{NO_DSN, "TO:<a@b> NOTIFY=NEVER", "501 5.7.1 DSN support is disabled"},
		{NO_DSN, "TO:<a@b> ORCPT=rfc822;a", "501 5.7.1 DSN support is disabled"},
		{DECLARED, "TO:<a@\xc3\xa9.example>", "<a@\xc3\xa9.example>"},
		{0, "TO:<a@\xc3\xa9.example>", "W501 5.1.3 Bad recipient address syntax"},
	};
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct smtp_offer offer = offer_of(rows[i].how);
		struct buf *out = buf_new(mem, 1000);
		struct smtp_command_fault fault;
		struct smtp_rcpt_command rcpt;
		struct str line = str_printf(mem, "RCPT %s", rows[i].arguments);
		struct smtp_words words;

		smtp_words_split(mem, line, &words);
		if (smtp_rcpt_parse(mem, &words, &offer, (rows[i].how & DECLARED) != 0,
				    &rcpt, &fault)) {
			buf_printf(out, "<" PRI_STR ">", STR_ARG(rcpt.address));
			if (rcpt.notify != 0)
				buf_printf(out, " notify=%u", rcpt.notify);
			if (rcpt.orcpt.len > 0)
				buf_printf(out, " orcpt=" PRI_STR, STR_ARG(rcpt.orcpt));
		} else {
			buf_add(out, tell_fault(mem, &fault));
		}
		assert_string_equal(out->p, rows[i].result);
	}
	arena_free(&mem);
}

static void
test_vrfy(void **state UNUSED)
{
	const struct smtp_offer offer = offer_of(0);
	struct smtp_command_fault fault;
	struct arena *mem = arena_new();
	struct smtp_words words = split(mem, "VRFY <a@b.example> SMTPUTF8");
	struct str address;
	struct str text;

	assert_true(smtp_vrfy_parse(mem, &words, &offer, &text, &address, &fault));
	assert_true(str_eq(text, STR("<a@b.example>")));
	assert_true(str_eq(address, STR("a@b.example")));
	words = split(mem, "VRFY");
	assert_false(smtp_vrfy_parse(mem, &words, &offer, &text, &address, &fault));
	assert_true(
		str_eq(fault.reply, STR("501 5.5.4 Syntax: VRFY address [SMTPUTF8]")));
	words = split(mem, "VRFY a b");
	assert_false(smtp_vrfy_parse(mem, &words, &offer, &text, &address, &fault));
	assert_true(str_eq(fault.illegal, STR("a b")));
	arena_free(&mem);
}

static void
test_bdat(void **state UNUSED)
{
	static const struct {
		const char *line;
		int64_t count; /* -1: malformed */
		bool last;
	} rows[] = {
		{"BDAT 0", 0, false},
		{"BDAT 12 last", 12, true},
		{"BDAT 9223372036854775807", INT64_MAX, false},
		{"BDAT 9223372036854775808", -1, false},
		{"BDAT 18446744073709551616", -1, false},
		{"BDAT", -1, false},
		{"BDAT x", -1, false},
		{"BDAT -1", -1, false},
		{"BDAT +1", -1, false},
		{"BDAT 1x", -1, false},
		{"BDAT 1 FIRST", -1, false},
		{"BDAT 1 LAST x", -1, false},
	};
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct smtp_words words = split(mem, rows[i].line);
		int64_t count = -1;
		bool last = false;

		assert_int_equal(smtp_bdat_parse(&words, &count, &last),
				 rows[i].count >= 0);
		assert_int_equal(count, rows[i].count);
		assert_int_equal(last, rows[i].last);
	}
	arena_free(&mem);
}

static void
test_attributes(void **state UNUSED)
{
	static const struct {
		bool is_xclient;
		const char *line;
		const char *reply; /* NULL: understood */
	} rows[] = {
		{true, "X NAME=a.example ADDR=192.0.2.1 PORT=1 PROTO=smtp", NULL},
		{true, "X ADDR=IPV6:2001:DB8::1", NULL},
		{true, "X NAME=[TEMPUNAVAIL] REVERSE_NAME=[unavailable]", NULL},
		{true, "X", "501 5.5.4 Syntax: XCLIENT attribute=value..."},
		{false, "X", "501 5.5.4 Syntax: XFORWARD attribute=value..."},
		{true, "X NAME", "501 5.5.4 Error: attribute=value expected"},
		{true, "X NAME=", "501 5.5.4 Error: attribute=value expected"},
		{true, "X IDENT=x", "501 5.5.4 Bad XCLIENT attribute name: IDENT"},
		{false, "X LOGIN=x", "501 5.5.4 Bad XFORWARD attribute name: LOGIN"},
		{true, "X ADDR=2001:db8::1", "501 5.5.4 Bad ADDR syntax: 2001:db8::1"},
		{true, "X ADDR=[TEMPUNAVAIL]",
		 "501 5.5.4 Bad ADDR syntax: [TEMPUNAVAIL]"},
		{true, "X ADDR=1.2.3", "501 5.5.4 Bad ADDR syntax: 1.2.3"},
		{true, "X PORT=65536", "501 5.5.4 Bad PORT syntax: 65536"},
		{true, "X PROTO=LMTP", "501 5.5.4 Bad PROTO syntax: LMTP"},
		{false, "X PROTO=LMTP", NULL},
		{false, "X SOURCE=x", "501 5.5.4 Bad SOURCE syntax: x"},
		{false, "X IDENT=ABC SOURCE=local HELO=a+20b", NULL},
	};
	struct arena *mem = arena_new();
	struct smtp_attributes a;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct smtp_words words = split(mem, rows[i].line);
		struct str reply = STR_EMPTY;
		bool ok = smtp_attributes_parse(mem, &words, rows[i].is_xclient, true,
						true, &a, &reply);

		assert_int_equal(ok, rows[i].reply == NULL);
		if (!ok)
			assert_true(str_eq(reply, str_from(rows[i].reply)));
	}
	/* The last row. */
	assert_int_equal(a.known[SMTP_ATTRIBUTE_NAME], SMTP_NOT_SAID);
	assert_int_equal(a.known[SMTP_ATTRIBUTE_HELO], SMTP_SAID);
	assert_true(str_eq(a.value[SMTP_ATTRIBUTE_HELO], STR("a b")));
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_at_nul_and_limit),
		cmocka_unit_test(test_header_like),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_vrfy),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
