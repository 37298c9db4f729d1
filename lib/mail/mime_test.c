/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "mail/header.h"

struct seen {
	struct buf *text;  /* all that came out, as text */
	struct buf *shape; /* P, M, N per field, e for the end of the header */
};

static void
on_header(void *arg, enum mime_header_class which, const struct header_name *row,
	  struct str text)
{
	struct seen *s = arg;

	(void)row;
	buf_add(s->text, text);
	buf_add_char(s->text, '\n');
	buf_add_char(s->shape, "PMN"[which]);
}

static void
on_header_end(void *arg)
{
	buf_add_char(((struct seen *)arg)->shape, 'e');
}

static void
on_body(void *arg, struct str line, bool whole)
{
	struct seen *s = arg;

	buf_add(s->text, line);
	if (whole)
		buf_add_char(s->text, '\n');
}

static const struct mime_events events = {
	.header = on_header, .header_end = on_header_end, .body = on_body};
static const struct mime_limits limits = {200, 1, 20}; /* 1: three levels */

/* In pieces of at most `piece` bytes. */
static unsigned
run(struct arena *mem, unsigned options, struct str text, size_t piece, struct seen *s)
{
	struct mime *m;
	struct str line;

	s->text = buf_new(mem, 100000);
	s->shape = buf_new(mem, 1000);
	m = mime_new(mem, options, &limits, &events, s);
	while (str_line(&text, &line)) {
		while (line.len > piece) {
			mime_line(m, str_head(line, piece), false);
			line = str_skip(line, piece);
		}
		mime_line(m, line, true);
	}
	return mime_end(m);
}

#define MP(b) "Content-Type: multipart/mixed; boundary=" b "\n\n"

static const struct {
	const char *name;
	const char *text;
	const char *shape;
	unsigned problems;
} rows[] = {
	{"empty", "", "e", 0},
	{"header only", "Subject: a\n", "Pe", 0},
	{"simple", "Subject: a\n\tb\nTo: x\n\nbody\nSubject: no\n", "PPe", 0},
	{"empty header", "\nbody\n", "e", 0},
	{"multipart", MP("b") "pre\n--b\nA: 1\n\ntext\n--b\n\nnone\n--b--\nA: epilogue\n",
	 "PeM", 0},
	{"quoted boundary",
	 "Content-Type: multipart/mixed (c) ;\n x=y; boundary=\"b c\"\n\n--b c\nA: 1\n\n",
	 "PeM", 0},
	{"nested multipart",
	 MP("o") "--o\n" MP("i") "--i\nA: 1\n\nx\n--i--\nz\n--o\nB: 2\n\ny\n--o--\n",
	 "PeMMM", 0},
	{"inner not closed", MP("o") "--o\n" MP("i") "--i\nA: 1\n\nx\n--o\nB: 2\n\ny\n",
	 "PeMMM", 0},
	{"message", "Content-Type: message/rfc822\n\nSubject: in\n\ttwo\nTo: b\n\nx: y\n",
	 "PeNN", 0},
	{"message in message",
	 "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: 1\n\nx\n",
	 "PeNN", 0},
	{"partial is no message",
	 "Content-Type: message/partial; id=1\n\nSubject: in\n\nx\n", "Pe", 0},
	{"digest",
	 "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nx\n--b--\n",
	 "PeN", 0},
	{"no boundary", "Content-Type: multipart/mixed\n\n--\nA: 1\n", "Pe", 0},
	{"header at its end", "A: 1\n\n--b\nB: 1\n", "Pe", 0},
	{"8-bit header", "Subject: \xe9\n\nx\n", "Pe", MIME_PROBLEM_8BIT_IN_HEADER},
	{"8-bit body", "A: 1\n\n\xe9\n", "Pe", MIME_PROBLEM_8BIT_IN_BODY},
	{"8-bit declared", "Content-Transfer-Encoding: 8bit\n\n\xe9\n", "Pe", 0},
	{"encoded multipart",
	 "Content-Transfer-Encoding: base64\nContent-Type: "
	 "multipart/mixed;boundary=b\n\n",
	 "PPe", MIME_PROBLEM_ENCODING_DOMAIN},
	{"encoded message",
	 "Content-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\nA: 1\n\n",
	 "PPeN", MIME_PROBLEM_ENCODING_DOMAIN},
	{"too deep",
	 MP("a") "--a\n" MP("b") "--b\n" MP("c") "--c\n" MP("d") "--d\nX: 1\n\n--c--\n",
	 "PeMMM", MIME_PROBLEM_NESTING},
	{"deep enough", MP("a") "--a\n" MP("b") "--b\n" MP("c") "--c\nX: 1\n\n", "PeMMM",
	 0},
	{"long boundary",
	 MP("12345678901234567890xyz") "--12345678901234567890XYZ\nX: 1\n\n", "PeM", 0},
	{"broken type", "Content-Type: ;;=\"\n\nx\n", "Pe", 0},
	{"unclosed comment",
	 "Content-Type: multipart/mixed ((; boundary=b\n\n--b\nA: 1\n", "Pe", 0},
};

static struct str
without_newlines(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, text.len);

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\n')
			buf_add_char(out, text.p[i]);
	}
	return buf_str(out);
}

/* What a line is shows in its first piece, so only whole lines give the shape; and a
 * header that seems to end at a text line gets an empty one. But no byte is lost. */
static void
check_row(size_t i, size_t piece)
{
	struct arena *mem = arena_new();
	struct str text = str_from(rows[i].text);
	struct seen s;
	unsigned problems = run(mem, 0, text, piece, &s);

	assert_true(str_eq(without_newlines(mem, buf_str(s.text)),
			   without_newlines(mem, text)));
	if (piece > text.len) {
		if (strcmp(s.shape->p, rows[i].shape) != 0 ||
		    problems != rows[i].problems)
			fail_msg("%s: %s, %x", rows[i].name, s.shape->p, problems);
		assert_string_equal(s.text->p, rows[i].text);
	}
	arena_free(&mem);
}

static void
test_shapes(void **state)
{
	static const size_t pieces[] = {10000, 7, 3, 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++)
			check_row(i, pieces[k]);
	}
}

static void
test_limits(void **state)
{
	struct arena *mem = arena_new();
	struct seen s;
	struct buf *text = buf_new(mem, 10000);

	(void)state;
	buf_add_c(text, "Subject: ");
	for (int i = 0; i < 300; i++)
		buf_add_char(text, 'x');
	buf_add_c(text, "\n more\nTo: a\n\n");
	assert_int_equal(run(mem, 0, buf_str(text), 10000, &s),
			 MIME_PROBLEM_TRUNCATED_HEADER);
	assert_string_equal(s.shape->p, "PPe");
	assert_int_equal(s.text->len, 200 + 1 + strlen("To: a\n\n"));
	/* A header that ends at a text line gets an empty one. */
	assert_int_equal(run(mem, 0, STR("A: 1\nnot a field\n"), 10000, &s), 0);
	assert_string_equal(s.text->p, "A: 1\n\nnot a field\n");
	/* Off: nothing below the primary header is looked at. */
	assert_int_equal(run(mem, MIME_OFF, STR(MP("b") "--b\nA: 1\n\n"), 10000, &s), 0);
	assert_string_equal(s.shape->p, "Pe");
	/* A piece of a field, of a body line, of a boundary. */
	assert_int_equal(run(mem, 0, STR("Subject: abc\n\n-------\n"), 9, &s), 0);
	assert_string_equal(s.text->p, "Subject: abc\n\n-------\n");
	arena_free(&mem);
}

static void
test_downgrade(void **state)
{
	static const struct {
		const char *text, *after;
	} down[] = {
		{"Content-Transfer-Encoding: 8bit\nA: 1\n\nna\xc3\xafve = 1 \n.\n",
		 "A: 1\nContent-Transfer-Encoding: quoted-printable\n\nna=C3=AFve =3D "
		 "1=20\n.\n"},
		{"A: 1\n\n\xe9\n", "A: 1\n\n\xe9\n"},
		{"Content-Transfer-Encoding: base64\n\nAAAA\n",
		 "Content-Transfer-Encoding: base64\n\nAAAA\n"},
		{"Content-Transfer-Encoding: 8bit\n" MP(
			 "b") "p\n--b\n"
			      "Content-Transfer-Encoding: 8bit\n\n\xe9\n--b--\n",
		 "Content-Type: multipart/mixed; boundary=b\n"
		 "Content-Transfer-Encoding: 7bit\n\np\n--b\n"
		 "Content-Transfer-Encoding: quoted-printable\n\n=E9\n--b--\n"},
		{"Content-Transfer-Encoding: 8bit\n\n"
		 "1234567890123456789012345678901234567890123456789012345678901234567890"
		 "123456\xe9z\n",
		 "Content-Transfer-Encoding: quoted-printable\n\n"
		 "1234567890123456789012345678901234567890123456789012345678901234567890"
		 "123=\n456=E9z\n"},
		{"Content-Transfer-Encoding: 8bit\n\n\xe9", /* no line end at the end */
		 "Content-Transfer-Encoding: quoted-printable\n\n=E9\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(down); i++) {
		struct arena *mem = arena_new();
		struct seen s;

		run(mem, MIME_DOWNGRADE, str_from(down[i].text), 10000, &s);
		assert_string_equal(s.text->p, down[i].after);
		arena_free(&mem);
	}
}

static void
test_problem_rows(void **state)
{
	(void)state;
	assert_null(mime_problem_find(0));
	assert_int_equal(
		mime_problem_find(MIME_PROBLEM_8BIT_IN_BODY | MIME_PROBLEM_NESTING)->bit,
		MIME_PROBLEM_NESTING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_downgrade),
		cmocka_unit_test(test_problem_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
