/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where does a message end? Every string over {CR, LF, '.', 'x', NUL} up to a length
 * stands in the middle of a message, before what would be a second message if the
 * string were taken for the end of data. What cleanup gets must be what a reader that
 * knows only CR LF . CR LF makes of the same bytes: one message, or two where the
 * string holds that very sequence. The bytes come whole, one by one, and cut in two at
 * each place.
 *
 * framing_test [LENGTH]: up to this length, with all cuts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session_testing.h"

enum { LENGTH_MAX = 7, TEXT_MAX = 1024, MESSAGES = 3, PIECES_MAX = TEXT_MAX };

static const char alphabet[] = {'\r', '\n', '.', 'x', '\0'};

static const char config[] = "relay_domains = r.example\n"
			     "smtpd_relay_restrictions = reject_unauth_destination\n"
			     "smtpd_forbidden_commands =\n"
			     "smtpd_hard_error_limit = 1000\n";

static const char envelope[] = "EHLO c.example\r\n"
			       "MAIL FROM:<a@s.example>\r\n"
			       "RCPT TO:<a@r.example>\r\n";
static const char header[] = "A: b\r\n\r\nbody";
static const char second[] = "MAIL FROM:<b@s.example>\r\n"
			     "RCPT TO:<b@r.example>\r\n"
			     "DATA\r\n"
			     "hidden\r\n"
			     ".\r\n";

/* ---- what has to come out ---- */

/* The lines of each message, each with its LF. */
struct expected {
	struct buf content[MESSAGES];
	size_t n;
};

/* Lines up to the end of data, off the front of *rest. Stuffed dots are taken away; a
 * line of one dot that is not the end is dropped. */
static void
read_message(struct str *rest, struct buf *out)
{
	bool after_crlf = true;
	size_t lf;

	while ((lf = str_index(*rest, '\n')) < rest->len) {
		struct str line = str_head(*rest, lf);
		bool crlf = lf > 0 && rest->p[lf - 1] == '\r';

		*rest = str_skip(*rest, lf + 1);
		line.len -= crlf ? 1 : 0;
		if (str_eq(line, STR(".")) && crlf && after_crlf)
			return;
		if (!str_eq(line, STR("."))) {
			buf_add(out, line.len > 0 && line.p[0] == '.' ? str_skip(line, 1)
								      : line);
			buf_add_c(out, "\n");
		}
		after_crlf = crlf;
	}
}

static void
expect_data(struct str content, struct expected *e)
{
	struct str rest = content;
	struct str line;

	read_message(&rest, &e->content[e->n++]);
	/* What follows is commands: the second message is one if its MAIL is a line. */
	while (str_line(&rest, &line)) {
		while (line.len > 0 && line.p[0] == '\r')
			line = str_skip(line, 1);
		if (str_starts(line, STR("MAIL")))
			buf_add_c(&e->content[e->n++], "hidden\n");
	}
}

/* Nothing is special but line ends. */
static void
expect_bdat(struct str content, struct expected *e)
{
	struct buf *out = &e->content[e->n++];
	size_t lf;

	while ((lf = str_index(content, '\n')) < content.len) {
		bool crlf = lf > 0 && content.p[lf - 1] == '\r';

		buf_add(out, str_head(content, lf - (crlf ? 1 : 0)));
		buf_add_c(out, "\n");
		content = str_skip(content, lf + 1);
	}
	buf_add(out, content);
	if (content.len > 0)
		buf_add_c(out, "\n");
}

/* ---- what came out ---- */

/* The content without what we put before it. */
static struct str
content_of(const struct talk *t, size_t connection, struct buf *out)
{
	struct str rest = talk_records(t, connection);
	struct record r = {.letter = 0};
	bool in_content = false;
	size_t own = 3; /* lines of Received: */

	buf_clear(out);
	while (talk_next_record(&rest, &r)) {
		if (r.letter == RECORD_LETTER(EXTRACTED))
			in_content = false;
		if (in_content && own > 0) {
			own--;
		} else if (in_content) {
			buf_add(out, r.data);
			if (r.letter == RECORD_LETTER(LINE))
				buf_add_c(out, "\n");
		}
		if (r.letter == RECORD_LETTER(MESSAGE))
			in_content = true;
	}
	assert_int_equal(r.letter, RECORD_LETTER(END));
	return buf_str(out);
}

struct bench {
	struct talk_server *server;
	struct arena *mem;
	struct buf text;
	struct buf got;
	size_t sessions;
};

static void
print_bytes(const char *title, struct str s)
{
	fprintf(stderr, "%s:", title);
	for (size_t i = 0; i < s.len; i++)
		fprintf(stderr, " %02x", (unsigned char)s.p[i]);
	fprintf(stderr, "\n");
}

static void
run(struct bench *b, const struct str *pieces, size_t n, const struct expected *e)
{
	struct talk t;

	talk_init(&t, b->mem, pieces, n);
	talk_run(b->server, &t);
	b->sessions++;
	if (t.connections != e->n) {
		print_bytes("input", buf_str(&b->text));
		fail_msg("%zu messages, not %zu", t.connections, e->n);
	}
	for (size_t i = 0; i < e->n; i++) {
		struct str got = content_of(&t, i, &b->got);

		if (!str_eq(got, buf_str(&e->content[i]))) {
			print_bytes("input", buf_str(&b->text));
			print_bytes("got", got);
			print_bytes("expected", buf_str(&e->content[i]));
			fail();
		}
	}
	talk_release(&t);
}

/* Whole, byte by byte, and if `all`, cut in two before, in and behind the string. */
static void
run_cuts(struct bench *b, size_t at, size_t length, bool all, const struct expected *e)
{
	struct str text = buf_str(&b->text);
	struct str pieces[PIECES_MAX];

	pieces[0] = text;
	run(b, pieces, 1, e);
	run(b, pieces, talk_cut(text, 1, NULL, 0, pieces, ARRAY_LEN(pieces)), e);
	for (size_t cut = at; all && cut <= at + length; cut++) {
		pieces[0] = str_head(text, cut);
		pieces[1] = str_skip(text, cut);
		run(b, pieces, 2, e);
	}
}

static void
run_string(struct bench *b, struct str s, bool all)
{
	struct expected data = {.n = 0};
	struct expected bdat = {.n = 0};
	struct buf content;
	size_t at;

	buf_init(&content, TEXT_MAX);
	for (size_t i = 0; i < MESSAGES; i++) {
		buf_init(&data.content[i], TEXT_MAX);
		buf_init(&bdat.content[i], TEXT_MAX);
	}
	buf_add_c(&content, header);
	buf_add(&content, s);
	buf_add_c(&content, second);
	expect_data(buf_str(&content), &data);
	buf_clear(&b->text);
	buf_printf(&b->text, "%sDATA\r\n%s", envelope, header);
	at = b->text.len;
	buf_add(&b->text, s);
	buf_printf(&b->text, "%sQUIT\r\n", second);
	run_cuts(b, at, s.len, all, &data);

	expect_bdat(buf_str(&content), &bdat);
	buf_clear(&b->text);
	buf_printf(&b->text, "%sBDAT %zu LAST\r\n%s", envelope, content.len, header);
	at = b->text.len;
	buf_add(&b->text, s);
	buf_printf(&b->text, "%sQUIT\r\n", second);
	run_cuts(b, at, s.len, all, &bdat);

	buf_release(&content);
	for (size_t i = 0; i < MESSAGES; i++) {
		buf_release(&data.content[i]);
		buf_release(&bdat.content[i]);
	}
}

/* All strings of this length. */
static size_t
run_length(struct bench *b, size_t length, bool all)
{
	char text[LENGTH_MAX];
	size_t count = 1;

	for (size_t i = 0; i < length; i++)
		count *= ARRAY_LEN(alphabet);
	for (size_t n = 0; n < count; n++) {
		size_t rest = n;

		for (size_t i = 0; i < length; i++) {
			text[i] = alphabet[rest % ARRAY_LEN(alphabet)];
			rest /= ARRAY_LEN(alphabet);
		}
		run_string(b, str_from_mem(text, length), all);
		arena_reset(b->mem);
	}
	return count;
}

static size_t long_length; /* 0: the usual ones */

static void
one_message_in_one_message_out(void **state UNUSED)
{
	struct bench b = {.server = talk_server_new(config), .mem = arena_new()};
	size_t strings = 0;

	buf_init(&b.text, TEXT_MAX);
	buf_init(&b.got, TEXT_MAX);
	for (size_t n = 0; n <= MAX_OF(long_length, (size_t)5); n++)
		strings += run_length(&b, n, n <= MAX_OF(long_length, (size_t)3));
	fprintf(stderr, "%zu strings, %zu sessions\n", strings, b.sessions);
	buf_release(&b.text);
	buf_release(&b.got);
	arena_free(&b.mem);
	talk_server_free(&b.server);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_in_one_message_out),
	};

	if (argc > 1)
		long_length =
			MIN_OF((size_t)strtoul(argv[1], NULL, 10), (size_t)LENGTH_MAX);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
