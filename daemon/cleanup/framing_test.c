/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What smtpd took as one message leaves as one message: every string over {CR, LF,
 * '.', 'x', NUL} up to a length, as lines or pieces of lines in the middle of a
 * message, goes through cleanup into a queue file and out of it through our SMTP
 * client. What the client sends has no CR and no LF alone, ends the message once, at
 * its end, and says what came in, stray CRs as blanks. daemon/smtpd/framing_test.c is
 * the way in.
 *
 * framing_test [LENGTH]: up to this length.
 */
#include <string.h>

#include "fiber/stream.h"
#include "queue/file.h"
#include "smtp/client.h"

#include "message_testing.h"

enum { LENGTH_MAX = 7, TEXT_MAX = 4096 };

static const char alphabet[] = {'\r', '\n', '.', 'x', '\0'};

static const char server[] = "220 mx.example ESMTP\r\n"
			     "250 mx.example\r\n"
			     "250 sender\r\n"
			     "250 recipient\r\n"
			     "354 go on\r\n"
			     "250 done\r\n"
			     "221 bye\r\n";

/* ---- into the queue file ---- */

/* Lines end at LF; the piece before byte `cut` comes by itself. */
static void
feed(struct message *m, struct str text, size_t cut)
{
	size_t at = 0;

	while (at < text.len) {
		size_t lf = at + str_index(str_skip(text, at), '\n');
		size_t from = at;

		if (cut > at && cut <= lf) {
			content_text(m, str_head(str_skip(text, at), cut - at), false);
			from = cut;
		}
		content_text(m, str_head(str_skip(text, from), lf - from), true);
		at = lf + 1;
	}
}

static int64_t
content_offset(struct arena *mem, int fd)
{
	struct str rest = file_text(mem, fd);
	int64_t offset = 0;
	struct record r;
	size_t used;

	while (record_decode(rest, &r, &used) == RECORD_GOT) {
		rest = str_skip(rest, used);
		offset += (int64_t)used;
		if (r.letter == RECORD_LETTER(MESSAGE))
			return offset;
	}
	fail_msg("no content in the file");
	return 0;
}

/* ---- out of it ---- */

static enum smtp_content
next_text(void *arg, struct str *text_out)
{
	struct err err;

	switch (queue_content_next(arg, text_out, &err)) {
	case QUEUE_CONTENT_LINE:
		return SMTP_CONTENT_LINE;
	case QUEUE_CONTENT_PART:
		return SMTP_CONTENT_PART;
	case QUEUE_CONTENT_END:
		return SMTP_CONTENT_END;
	case QUEUE_CONTENT_FAILED:
		break;
	}
	fail_msg("%s", err.text);
	return SMTP_CONTENT_FAILED;
}

static bool
rewind_text(void *arg)
{
	queue_content_rewind(arg);
	return true;
}

/* All that the client says. */
static struct str
send_out(struct arena *mem, int fd)
{
	const struct smtp_client_options options = {
		.helo_name = STR("me.example"),
		.my_hostname = STR("me.example"),
		.always_send_ehlo = true,
		.line_length_limit = 998,
	};
	struct smtp_rcpt rcpt = {.address = STR("r@r.example")};
	struct buf *output = buf_new(mem, TEXT_MAX);
	struct stream *s = stream_from_memory(str_from(server), output, 0);
	struct queue_content content;
	struct smtp_client client;
	struct smtp_mail mail;
	struct dsn dsn;

	queue_content_init(mem, &content, fd, content_offset(mem, fd));
	mail = (struct smtp_mail){.sender = STR("s@s.example"),
				  .rcpts = &rcpt,
				  .n_rcpts = 1,
				  .next = next_text,
				  .rewind = rewind_text,
				  .arg = &content};
	smtp_client_init(&client, mem, s, &options, STR("mx.example[192.0.2.1]"),
			 STR("r.example"));
	assert_int_equal(smtp_client_greet(&client, &dsn), SMTP_SESSION_OK);
	assert_int_equal(smtp_client_send(&client, &mail, &dsn), SMTP_SESSION_OK);
	assert_int_equal(rcpt.outcome, SMTP_RCPT_SENT);
	smtp_client_quit(&client);
	stream_close(&s);
	return buf_str(output);
}

/* ---- a strict reader ---- */

static void
check_line_ends(struct str said)
{
	for (size_t i = 0; i < said.len; i++) {
		if (said.p[i] == '\r')
			assert_true(i + 1 < said.len && said.p[i + 1] == '\n');
		if (said.p[i] == '\n')
			assert_true(i > 0 && said.p[i - 1] == '\r');
	}
}

/* The lines of the message without their stuffing, each with LF; *rest is what the client
 * says behind it. */
static struct str
read_message(struct arena *mem, struct str said, struct str *rest)
{
	static const char data[] = "DATA\r\n";
	const char *at = memmem(said.p, said.len, data, strlen(data));
	struct buf *out = buf_new(mem, TEXT_MAX);
	struct str line;

	assert_non_null(at);
	*rest = str_skip(said, (size_t)(at - said.p) + strlen(data));
	while (str_line(rest, &line)) {
		if (str_eq(line, STR(".")))
			return buf_str(out);
		buf_add(out, line.len > 0 && line.p[0] == '.' ? str_skip(line, 1) : line);
		buf_add_c(out, "\n");
	}
	fail_msg("no end of data");
	return STR_EMPTY;
}

static struct str
expected(struct arena *mem, struct str text)
{
	char *copy = str_c(mem, text);

	for (size_t i = 0; i < text.len; i++)
		if (copy[i] == '\r')
			copy[i] = ' ';
	return str_from_mem(copy, text.len);
}

/* ---- all of them ---- */

static void
run(struct arena *mem, struct fixture *f, struct str text, size_t cut)
{
	struct message *m = &f->m;
	struct str rest;
	struct str said;

	m->fd = memfd_create("queue file", MFD_CLOEXEC);
	m->is_remote = true;
	m->mem = mem;
	m->line_is_open = false;
	queue_writer_init(mem, &m->writer, m->fd, 0);
	content_begin(m);
	feed(m, text, cut);
	content_end(m);
	assert_true(
		io_write_all(m->fd, buf_str(m->writer.out), "file", &(struct err){0}));
	said = send_out(mem, m->fd);
	check_line_ends(said);
	assert_true(str_eq(read_message(mem, said, &rest), expected(mem, text)));
	assert_true(str_eq(rest, STR("QUIT\r\n")));
	close(m->fd);
}

/* Number `n` of the strings of this length. */
static void
run_string(struct arena *mem, struct fixture *f, size_t length, size_t n)
{
	static const char head[] = "A: b\n\nbody";
	char text[TEXT_MAX];
	size_t len = strlen(head);

	memcpy(text, head, len);
	for (size_t i = 0; i < length; i++) {
		text[len++] = alphabet[n % ARRAY_LEN(alphabet)];
		n /= ARRAY_LEN(alphabet);
	}
	text[len++] = 'x';
	text[len++] = '\n';
	run(mem, f, str_from_mem(text, len), 0);
	arena_reset(mem);
	for (size_t cut = len - length - 2; cut < len; cut++) {
		run(mem, f, str_from_mem(text, len), cut);
		arena_reset(mem);
	}
}

static size_t longest = 4;

static void
leaves_as_one_message(void **state UNUSED)
{
	struct arena *keep = arena_new();
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(keep, "");

	log_set_level(f->daemon.log, LOG_LEVEL_PANIC);
	close(f->m.fd);
	for (size_t length = 0, count = 1; length <= longest; length++) {
		for (size_t n = 0; n < count; n++)
			run_string(mem, f, length, n);
		count *= ARRAY_LEN(alphabet);
	}
	f->m.fd = -1;
	fixture_free(f);
	arena_free(&mem);
	arena_free(&keep);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_as_one_message),
	};

	if (argc > 1)
		longest = MIN_OF((size_t)strtoul(argv[1], NULL, 10), (size_t)LENGTH_MAX);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
