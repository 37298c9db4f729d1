/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/macros.h"

#include "fiber/stream.h"
#include "mail/dsn_request.h"

#include "smtp/extension.h"
#include "smtp/xforward.h"

enum { RCPTS_MAX = 3 };

/* A content of lines in one text; a line without LF at the end is a part. */
struct content {
	struct str all;
	struct str rest;
	bool fails;
};

static enum smtp_content
content_next(void *arg, struct str *text_out)
{
	struct content *c = arg;
	size_t at = str_index(c->rest, '\n');

	if (c->rest.len == 0)
		return c->fails ? SMTP_CONTENT_FAILED : SMTP_CONTENT_END;
	*text_out = str_head(c->rest, at);
	if (at == c->rest.len) {
		c->rest = STR_EMPTY;
		return SMTP_CONTENT_PART;
	}
	c->rest = str_skip(c->rest, at + 1);
	return SMTP_CONTENT_LINE;
}

static bool
content_rewind(void *arg)
{
	struct content *c = arg;

	c->rest = c->all;
	return true;
}

/* A dialogue: what the server says from beginning to end, and what we must have said. */
struct fixture {
	struct arena *mem;
	struct buf *output;
	struct stream *stream;
	struct smtp_client client;
	struct content content;
	struct smtp_rcpt rcpts[RCPTS_MAX];
	struct smtp_mail mail;
	struct dsn dsn;
};

static void
start(struct fixture *f, const char *server, size_t step, bool lmtp)
{
	static const struct smtp_client_options options = {
		.helo_name = STR_INIT("me.example"),
		.my_hostname = STR_INIT("me.example"),
		.always_send_ehlo = true,
		.skip_5xx_greeting = true,
		.best_preference = true,
		.line_length_limit = 998,
	};
	struct smtp_client_options o = options;

	o.lmtp = lmtp;
	*f = (struct fixture){.mem = arena_new()};
	f->output = buf_new(f->mem, 1 << 20);
	f->stream = stream_from_memory(str_from(server), f->output, step);
	smtp_client_init(&f->client, f->mem, f->stream, &o, STR("mx.example[192.0.2.1]"),
			 STR("example.org"));
	f->content.all = STR("Subject: x\n\n.dot\nend\n");
	f->mail = (struct smtp_mail){.sender = STR("a@me.example"),
				     .rcpts = f->rcpts,
				     .n_rcpts = 1,
				     .next = content_next,
				     .rewind = content_rewind,
				     .arg = &f->content};
	for (int i = 0; i < RCPTS_MAX; i++)
		f->rcpts[i].address = str_printf(f->mem, "r%d@example.org", i + 1);
}

static void
stop(struct fixture *f)
{
	stream_close(&f->stream);
	arena_free(&f->mem);
}

static void
assert_str(struct str got, const char *expected)
{
	struct arena *mem = arena_new();

	assert_string_equal(str_c(mem, got), expected);
	arena_free(&mem);
}

#define GREETING   "220 mx.example ESMTP\r\n"
#define EHLO_PLAIN "250 mx.example\r\n"
#define EHLO_PIPE                                                                        \
	"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-DSN\r\n250 "           \
	"8BITMIME\r\n"

/* The same mail with and without pipelining, whole and byte by byte. */
static void
test_send(void **state)
{
	static const struct {
		const char *ehlo;
		const char *envelope;
	} rows[] = {
		{EHLO_PLAIN,
		 "MAIL FROM:<a@me.example>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n"},
		{EHLO_PIPE, "MAIL FROM:<a@me.example> SIZE=24 BODY=8BITMIME ENVID=e+2B1 "
			    "RET=HDRS\r\nRCPT TO:<r1@example.org> ORCPT=rfc822;o+2Bo@x "
			    "NOTIFY=FAILURE\r\nDATA\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 0; step < 3; step++) {
			struct arena *mem = arena_new();
			struct str server = str_printf(
				mem,
				GREETING "%s250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n"
					 "250 2.0.0 Ok: queued as ABC\r\n221 bye\r\n",
				rows[i].ehlo);
			struct str wanted = str_printf(mem,
						       "EHLO me.example\r\n%sSubject: "
						       "x\r\n\r\n..dot\r\nend\r\n.\r\n"
						       "QUIT\r\n",
						       rows[i].envelope);
			struct fixture f;

			start(&f, server.p, step, false);
			f.mail.size = 24;
			f.mail.is_8bit = true;
			f.mail.envelope_id = STR("e+1");
			f.mail.dsn_ret = DSN_RET_HDRS;
			f.rcpts[0].orcpt = STR("rfc822;o+o@x");
			f.rcpts[0].notify = DSN_NOTIFY_FAILURE;
			assert_int_equal(smtp_client_greet(&f.client, &f.dsn),
					 SMTP_SESSION_OK);
			assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn),
					 SMTP_SESSION_OK);
			assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_SENT);
			assert_str(f.rcpts[0].dsn.reason, "250 2.0.0 Ok: queued as ABC");
			assert_string_equal(f.rcpts[0].dsn.status.text, "2.0.0");
			smtp_client_quit(&f.client);
			assert_str(buf_str(f.output), wanted.p);
			stop(&f);
			arena_free(&mem);
		}
	}
}

/* What each reply means for each of three recipients: S sent, R rejected, P pending. */
static void /* NOLINTNEXTLINE(readability-function-size): rows */
test_outcomes(void **state)
{
	static const struct {
		const char *what;
		const char *dialogue; /* after EHLO, pipelined */
		const char *outcomes;
		const char *reason1;
		enum smtp_session_result result;
	} rows[] = {
		{"all accepted",
		 "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n", "SSS",
		 "250 done", SMTP_SESSION_OK},
		{"one of each",
		 "250 ok\r\n550 5.1.1 no\r\n450 4.2.0 later\r\n250 ok\r\n354 go\r\n250 "
		 "done\r\n",
		 "RPS",
		 "host mx.example[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO "
		 "command)",
		 SMTP_SESSION_OK},
		{"sender refused",
		 "550 5.7.1 not you\r\n503 x\r\n503 x\r\n503 x\r\n503 x\r\n", "RRR",
		 "host mx.example[192.0.2.1] said: 550 5.7.1 not you (in reply to MAIL "
		 "FROM "
		 "command)",
		 SMTP_SESSION_OK},
		{"sender refused for now",
		 "451 4.3.0 busy\r\n503 x\r\n503 x\r\n503 x\r\n503 x\r\n", "PPP",
		 "host mx.example[192.0.2.1] said: 451 4.3.0 busy (in reply to MAIL FROM "
		 "command)",
		 SMTP_SESSION_OK},
		{"no recipient, yet 354",
		 "250 ok\r\n550 no\r\n550 no\r\n450 no\r\n354 go\r\n554 no valid "
		 "recipients\r\n",
		 "RRP",
		 "host mx.example[192.0.2.1] said: 550 no (in reply to RCPT TO command)",
		 SMTP_SESSION_OK},
		{"data refused",
		 "250 ok\r\n250 ok\r\n250 ok\r\n450 no\r\n554 5.3.0 no data\r\n", "RRP",
		 "host mx.example[192.0.2.1] said: 554 5.3.0 no data (in reply to DATA "
		 "command)",
		 SMTP_SESSION_OK},
		{"content refused",
		 "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n554-5.6.0 bad\r\n554 "
		 "5.6.0 "
		 "content\r\n",
		 "RRR",
		 "host mx.example[192.0.2.1] said: 554-5.6.0 bad 554 5.6.0 content (in "
		 "reply to "
		 "end of DATA command)",
		 SMTP_SESSION_OK},
		{"lost after the final dot",
		 "250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n", "PRP",
		 "lost connection with mx.example[192.0.2.1] while sending end of data "
		 "-- message "
		 "may be sent more than once",
		 SMTP_SESSION_FAILED},
		{"lost in the middle", "250 ok\r\n250 ok\r\n", "PPP",
		 "lost connection with mx.example[192.0.2.1] while sending RCPT TO",
		 SMTP_SESSION_FAILED},
		{"not SMTP", "250 ok\r\nHTTP/1.1 200 OK\r\n", "PPP",
		 "lost connection with mx.example[192.0.2.1] while sending RCPT TO",
		 SMTP_SESSION_FAILED},
		{"a line without a code, then the reply",
		 "250 ok\r\nnote\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n",
		 "SSS", "250 done", SMTP_SESSION_OK},
		{"a code that is none", "250 ok\r\n650 5.6.7 what\r\n", "PPP",
		 "malformed reply from mx.example[192.0.2.1] while sending RCPT TO: "
		 "650 5.6.7 what",
		 SMTP_SESSION_FAILED},
		{"success out of range",
		 "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 already\r\n", "PPP",
		 "host mx.example[192.0.2.1] said: 250 already (in reply to DATA "
		 "command)",
		 SMTP_SESSION_OK},
		{"354 instead of an answer",
		 "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n354 more\r\n", "PPP",
		 "host mx.example[192.0.2.1] said: 354 more (in reply to end of DATA "
		 "command)",
		 SMTP_SESSION_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct str server =
			str_printf(mem, GREETING EHLO_PIPE "%s", rows[i].dialogue);
		struct fixture f;

		start(&f, server.p, 0, false);
		f.mail.n_rcpts = 3;
		assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
		assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn),
				 rows[i].result);
		for (int n = 0; n < 3; n++)
			assert_int_equal("PSR"[f.rcpts[n].outcome], rows[i].outcomes[n]);
		assert_str(f.rcpts[0].dsn.reason, rows[i].reason1);
		assert_int_equal(smtp_client_is_usable(&f.client),
				 rows[i].result == SMTP_SESSION_OK);
		stop(&f);
		arena_free(&mem);
	}
}

static void
test_greeting(void **state)
{
	static const struct {
		const char *server;
		const char *status; /* NULL: fine */
		const char *reason;
		const char *said;
	} rows[] = {
		{GREETING EHLO_PIPE, NULL, NULL, "EHLO me.example\r\n"},
		{GREETING "502 5.5.1 no\r\n250 mx\r\n", NULL, NULL,
		 "EHLO me.example\r\nHELO me.example\r\n"},
		{GREETING "502 5.5.1 no\r\n550 5.7.1 go away\r\n", "5.7.1",
		 "host mx.example[192.0.2.1] refused to talk to me: 550 5.7.1 go away",
		 "EHLO me.example\r\nHELO me.example\r\n"},
		{GREETING "421 4.3.2 closing\r\n", "4.3.2",
		 "host mx.example[192.0.2.1] refused to talk to me: 421 4.3.2 closing",
		 "EHLO me.example\r\n"},
		{"554 5.7.1 no\r\n", "4.7.1",
		 "host mx.example[192.0.2.1] refused to talk to me: 554 5.7.1 no", ""},
		{"450 busy\r\n", "4.0.0",
		 "host mx.example[192.0.2.1] refused to talk to me: 450 busy", ""},
		{"", "4.4.2",
		 "lost connection with mx.example[192.0.2.1] while receiving the initial "
		 "server "
		 "greeting",
		 ""},
		{GREETING "250 me.example\r\n", "5.4.6",
		 "mail for example.org loops back to myself", "EHLO me.example\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;

		start(&f, rows[i].server, 0, false);
		assert_int_equal(smtp_client_greet(&f.client, &f.dsn),
				 rows[i].status == NULL ? SMTP_SESSION_OK
							: SMTP_SESSION_FAILED);
		if (rows[i].status != NULL) {
			assert_string_equal(f.dsn.status.text, rows[i].status);
			assert_str(f.dsn.reason, rows[i].reason);
		}
		assert_str(buf_str(f.output), rows[i].said);
		stop(&f);
	}
}

static void
test_too_large(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, GREETING EHLO_PIPE, 0, false);
	f.mail.size = 1001;
	assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_REJECTED);
	assert_str(f.rcpts[0].dsn.reason,
		   "message size 1001 exceeds size limit 1000 of server "
		   "mx.example[192.0.2.1]");
	stop(&f);
}

/* What Debian's smtp sends for the same clients and offers. */
static void
test_xforward(void **state)
{
	static const struct smtp_origin v4 = {.name = STR_INIT("localhost"),
					      .address = STR_INIT("127.0.0.1"),
					      .port = STR_INIT("37980"),
					      .proto = STR_INIT("ESMTP"),
					      .helo = STR_INIT("client=example"),
					      .ident = STR_INIT("3FD4D5B3"),
					      .is_local = true};
	static const struct smtp_origin v6 = {.name = STR_INIT("unknown"),
					      .address = STR_INIT("::1"),
					      .proto = STR_INIT("SMTP")};
	static const struct {
		const char *offer;
		const struct smtp_origin *origin;
		const char *expected;
	} rows[] = {
		{"XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT", &v4,
		 "XFORWARD NAME=localhost ADDR=127.0.0.1 PORT=37980\r\n"
		 "XFORWARD PROTO=ESMTP HELO=client+3Dexample IDENT=3FD4D5B3 "
		 "SOURCE=LOCAL\r\n"
		 "MAIL FROM"},
		{"XFORWARD NAME ADDR PROTO HELO SOURCE", &v6,
		 "XFORWARD ADDR=IPv6:::1\r\nXFORWARD PROTO=SMTP SOURCE=REMOTE\r\n"
		 "MAIL FROM"},
		{"XFORWARD NAME", &v4, "XFORWARD NAME=localhost\r\nMAIL FROM"},
		{"XFORWARD HELO PROTO", &v4,
		 "XFORWARD PROTO=ESMTP HELO=client+3Dexample\r\nMAIL FROM"},
		{"XFORWARD", &v4, "MAIL FROM"},
		{"SIZE", &v4, "MAIL FROM"},
		{"XFORWARD NAME", NULL, "MAIL FROM"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct fixture f;
		char *server =
			str_c(mem, str_printf(mem,
					      GREETING "250-x\r\n250-PIPELINING\r\n"
						       "250 %s\r\n",
					      rows[i].offer));
		struct str sent;

		start(&f, server, 0, false);
		f.mail.origin = rows[i].origin;
		assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
		buf_truncate(f.output, 0);
		/* The server says nothing more. */
		assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn),
				 SMTP_SESSION_FAILED);
		sent = str_head(buf_str(f.output), strlen(rows[i].expected));
		assert_str(sent, rows[i].expected);
		stop(&f);
		arena_free(&mem);
	}
}

/* Whatever it says to XFORWARD, the mail goes on. */
static void
test_xforward_refused(void **state)
{
	static const struct smtp_origin origin = {.name = STR_INIT("localhost"),
						  .proto = STR_INIT("ESMTP")};
	struct fixture f;

	(void)state;
	start(&f,
	      GREETING "250-x\r\n250 XFORWARD NAME PROTO\r\n550 5.1.1 no\r\n"
		       "450 4.1.1 nor this\r\n250 ok\r\n250 ok\r\n354 go\r\n"
		       "250 2.0.0 done\r\n",
	      0, false);
	f.mail.origin = &origin;
	assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_SENT);
	assert_int_equal(f.mail.n_warnings, 2);
	assert_str(f.mail.warnings[0], "said: 550 5.1.1 no "
				       "(in reply to XFORWARD name/address command)");
	assert_str(f.mail.warnings[1], "said: 450 4.1.1 nor this "
				       "(in reply to XFORWARD helo/protocol command)");
	stop(&f);
}

static void
test_pix(void **state)
{
	static const struct {
		const char *greeting;
		unsigned wanted;
		unsigned used;
		const char *hello;
	} rows[] = {
		{"220 ***\r\n", SMTP_PIX_DISABLE_ESMTP, SMTP_PIX_DISABLE_ESMTP, "HELO"},
		{"220 **2*0 0*\r\n", SMTP_PIX_DELAY_DOTCRLF, SMTP_PIX_DELAY_DOTCRLF,
		 "EHLO"},
		{"220 ***\r\n", 0, 0, "EHLO"},
		{"220 *** x\r\n", SMTP_PIX_DISABLE_ESMTP, 0, "EHLO"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct fixture f;

		start(&f, str_c(mem, str_printf(mem, "%s250 x\r\n", rows[i].greeting)), 0,
		      false);
		f.client.options.pix_workarounds = rows[i].wanted;
		assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
		assert_int_equal(f.client.pix, rows[i].used);
		assert_str(str_head(buf_str(f.output), 4), rows[i].hello);
		stop(&f);
		arena_free(&mem);
	}
}

/* In LMTP every accepted recipient has its own answer. */
static void
test_lmtp(void **state)
{
	struct fixture f;

	(void)state;
	start(&f,
	      GREETING EHLO_PIPE "250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n"
				 "250 2.0.0 first\r\n452 4.2.2 full\r\n",
	      0, true);
	f.mail.n_rcpts = 3;
	assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_SENT);
	assert_int_equal(f.rcpts[1].outcome, SMTP_RCPT_REJECTED);
	assert_int_equal(f.rcpts[2].outcome, SMTP_RCPT_PENDING);
	assert_string_equal(f.rcpts[2].dsn.status.text, "4.2.2");
	assert_memory_equal(f.output->p, "LHLO me.example\r\n", 17);
	stop(&f);
}

/* Unreadable content: the server must not see the end of the mail. */
static void
test_content_fails(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, GREETING EHLO_PIPE "250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n", 0,
	      false);
	f.content.fails = true;
	assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn),
			 SMTP_SESSION_FAILED);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_PENDING);
	assert_str(f.rcpts[0].dsn.reason,
		   "local data error while talking to mx.example[192.0.2.1]");
	assert_false(smtp_client_is_usable(&f.client));
	assert_int_equal(str_find(buf_str(f.output), STR("\r\n.\r\n")), f.output->len);
	stop(&f);
}

/* Dots at the start of lines are doubled, long lines are broken, a last line without an
 * end gets one. */
static void
test_content_forms(void **state)
{
	static const struct {
		const char *content;
		int64_t limit;
		const char *wire;
	} rows[] = {
		{"", 998, ".\r\n"},
		{".\n", 998, "..\r\n.\r\n"},
		{"a.b\n..\n", 998, "a.b\r\n...\r\n.\r\n"},
		{"no end", 998, "no end\r\n.\r\n"},
		{"abcdefghij\n", 4, "abcd\r\n efg\r\n hij\r\n.\r\n"},
		{"abcd\n", 4, "abcd\r\n.\r\n"},
		{"abcdefghij\n", 0, "abcdefghij\r\n.\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;
		size_t at;

		start(&f,
		      GREETING EHLO_PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 done\r\n", 0,
		      false);
		f.client.options.line_length_limit = rows[i].limit;
		f.content.all = str_from(rows[i].content);
		assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
		assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn),
				 SMTP_SESSION_OK);
		at = str_find(buf_str(f.output), STR("DATA\r\n")) + 6;
		assert_str(str_skip(buf_str(f.output), at), rows[i].wire);
		stop(&f);
	}
}

/* A second mail over the same connection; after one that was broken off by the replies,
 * RSET. */
static void
test_reuse(void **state)
{
	struct fixture f;

	(void)state;
	start(&f,
	      GREETING EHLO_PLAIN "250 ok\r\n550 no\r\n250 reset\r\n250 ok\r\n250 ok\r\n"
				  "354 go\r\n250 done\r\n",
	      0, false);
	assert_int_equal(smtp_client_greet(&f.client, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_REJECTED);
	f.rcpts[0] = (struct smtp_rcpt){.address = STR("r2@example.org")};
	assert_int_equal(smtp_client_send(&f.client, &f.mail, &f.dsn), SMTP_SESSION_OK);
	assert_int_equal(f.rcpts[0].outcome, SMTP_RCPT_SENT);
	assert_true(str_find(buf_str(f.output), STR("RSET\r\n")) < f.output->len);
	stop(&f);
}

static void
test_features(void **state)
{
	static const struct {
		struct str text;
		unsigned features;
		struct str names;
	} rows[] = {
		{STR_INIT("size, PIPELINING"),
		 SMTP_FEATURE_PIPELINING | SMTP_FEATURE_SIZE,
		 STR_INIT("PIPELINING SIZE")},
		{STR_INIT("pipelining silent-discard"), SMTP_FEATURE_PIPELINING,
		 STR_INIT("")},
		/* Not for us, but told. */
		{STR_INIT("VRFY"), 0, STR_INIT("VRFY")},
		/* Postfix does not mind. */
		{STR_INIT("pipelinging"), 0, STR_INIT("")},
		{STR_INIT(""), 0, STR_INIT("")},
	};
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned features = 1;
		struct str names;

		smtp_features_parse(mem, rows[i].text, &features, &names);
		assert_int_equal(features, rows[i].features);
		assert_true(str_eq(names, rows[i].names));
	}
	assert_int_equal(smtp_pix_parse(STR("other, Delay_dotcrlf")),
			 SMTP_PIX_DELAY_DOTCRLF);
	assert_string_equal(
		smtp_pix_name(smtp_pix_parse(STR("delay_dotcrlf disable_esmtp"))),
		"disable_esmtp delay_dotcrlf");
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_xforward),
		cmocka_unit_test(test_xforward_refused),
		cmocka_unit_test(test_pix),
		cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_content_fails),
		cmocka_unit_test(test_content_forms),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
