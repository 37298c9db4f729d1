/* SPDX-License-Identifier: Apache-2.0 */
#include "milter/milter_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "milter/packet.h"

/* The milter's words: "letter data" each, with lengths added. */
static struct str
words(struct arena *mem, const char *const *packets, const size_t *lengths, size_t n)
{
	struct buf *out = buf_new(mem, TALK_MAX);

	for (size_t i = 0; i < n; i++) {
		milter_put_number(out, (uint32_t)lengths[i]);
		buf_add(out, str_from_mem(packets[i], lengths[i]));
	}
	return buf_str(out);
}

#define PACKET(literal)                                                                  \
	{                                                                                \
		(literal), sizeof(literal) - 1                                           \
	}
#define OPTIONS "O\0\0\0\6\0\0\1\xff\0\0\0\0"

struct row {
	struct {
		const char *data;
		size_t len;
	} packets[20];
	const char *told;
};

static const struct row rows[] = {
	{{PACKET(OPTIONS), PACKET("r")}, "connect: refuse 550 5.7.1 Command rejected\n"},
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("t")},
	 "mail: refuse 451 4.7.1 Service unavailable - try again later\n"},
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("y554-no\r\n554 100%%\0")},
	 "mail: refuse 554-no\r\n554 100%\n"},
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("y250 yes\0")},
	 "warning: milter test: malformed reply: 250 yes\n"
	 "mail: refuse 451 4.3.5 Server configuration problem - try again later\n"},
	{{PACKET(OPTIONS), PACKET("a")}, ""},
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("d")}, "mail: discard \n"},
	{{PACKET(OPTIONS), PACKET("4")}, "connect: shutdown \n"},
	{{PACKET(OPTIONS), PACKET("cx")},
	 "warning: milter test: reply SMFIR_CONTINUE was followed by 1 data bytes\n"
	 "connect: refuse 451 4.7.1 Service unavailable - try again later\n"},
	{{PACKET("O\0\0\0\7\0\0\0\0\0\0\0\0")},
	 "warning: milter test: protocol version 7 conflict with MTA protocol version 6\n"
	 "connect: refuse 451 4.7.1 Service unavailable - try again later\n"},
	{{PACKET(OPTIONS),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("c"),
	  PACKET("p"),
	  PACKET("c"),
	  PACKET("hX-A\0one\0"),
	  PACKET("i\0\0\0\2X-B\0two\0"),
	  PACKET("m\0\0\0\0From\0\0"),
	  PACKET("e<s@t>\0RET=HDRS\0"),
	  PACKET("+r@t\0"),
	  PACKET("-q@t\0"),
	  PACKET("bnew"),
	  PACKET("qodd\0"),
	  PACKET("c")},
	 "add 0 [X-A] [ one]\ninsert 2 [X-B] [ two]\nchange 1 [From] []\n"
	 "sender 0 [<s@t>] [RET=HDRS]\nrecipient 0 [r@t] []\nno recipient 0 [q@t] []\n"
	 "body 3 [] []\nkeep 0 [] []\nmessage: hold \n"},
	/* What a milter began to change is forgotten when it then fails. */
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"),
	  PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"),
	  PACKET("hX-A\0one\0")},
	 "add 0 [X-A] [ one]\n"
	 "warning: milter test: can't read SMFIC_BODYEOB reply packet header: end of "
	 "input\nforget 0 [] []\n"
	 "message: refuse 451 4.7.1 Service unavailable - try again later\n"},
	{{PACKET(OPTIONS), PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"),
	  PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"), PACKET("c"),
	  PACKET("hX-A")},
	 "warning: milter test: packet too short for string\nforget 0 [] []\n"
	 "message: refuse 451 4.7.1 Service unavailable - try again later\n"},
};

static struct milter_settings
make_settings(void)
{
	struct milter_settings s = {.version = 6, .failure = MILTER_FAIL_TEMPFAIL};

	for (size_t i = 0; i < MILTER_STAGES; i++)
		s.stage_macros[i] = STR("i j");
	return s;
}

static void
test_sessions(void **state UNUSED)
{
	const struct milter_settings settings = make_settings();
	struct milter_setting one = {
		.text = STR("test"), .version = 6, .failure = MILTER_FAIL_TEMPFAIL};
	const struct milter_list list = {1, &one};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		const char *packets[20];
		size_t lengths[20];
		struct str text;
		size_t n = 0;

		while (n < 20 && rows[i].packets[n].data != NULL) {
			packets[n] = rows[i].packets[n].data;
			lengths[n] = rows[i].packets[n].len;
			n++;
		}
		text = words(mem, packets, lengths, n);
		assert_string_equal(talk_play(mem, &settings, &list, text, 0).p,
				    rows[i].told);
		assert_string_equal(talk_play(mem, &settings, &list, text, 1).p,
				    rows[i].told);
		arena_free(&mem);
	}
}

static void
test_default_actions(void **state UNUSED)
{
	static const struct {
		enum milter_failure failure;
		const char *told;
	} cases[] = {
		{MILTER_FAIL_ACCEPT, ""},
		{MILTER_FAIL_REJECT, "connect: refuse 550 5.5.0 Service unavailable\n"},
		{MILTER_FAIL_QUARANTINE, "connect: hold \n"},
		{MILTER_FAIL_SHUTDOWN, "connect: shutdown \n"},
	};
	const struct milter_settings settings = make_settings();

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *mem = arena_new();
		struct milter_setting one = {
			.text = STR("test"), .version = 6, .failure = cases[i].failure};
		const struct milter_list list = {1, &one};
		struct str told = talk_play(mem, &settings, &list, STR_EMPTY, 0);
		size_t at = str_find(told, STR("handshake\n"));

		assert_true(at < told.len);
		assert_string_equal(str_skip(told, at + 10).p, cases[i].told);
		arena_free(&mem);
	}
}

static void
test_settings(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t n; /* 0: refused */
	} cases[] = {{"unix:a, inet:127.0.0.1:1 local:b", 3},
		     {"{ unix:a, command_timeout=5s default_action=accept }", 1},
		     {"{ unix:a, protocol = 4, { connect_timeout = 3 } } unix:b", 2},
		     {"{ unix:a, command_timeout=0 }", 0},
		     {"{ unix:a, foo=bar }", 0},
		     {"{ unix:a, default_action=maybe }", 0},
		     {"{ unix:a, protocol=5 }", 0},
		     {"{ }", 0},
		     {"{ unix:a", 0},
		     {"nonsense", 0}};
	const struct milter_settings settings = make_settings();

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *mem = arena_new();
		struct milter_list list = {0, NULL};
		struct err err;
		bool ok = milter_list_parse(mem, &settings, str_from(cases[i].text),
					    &list, &err);

		if (ok != (cases[i].n > 0) || (ok && list.n != cases[i].n))
			fail_msg("%s: %zu", cases[i].text, list.n);
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_default_actions),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
