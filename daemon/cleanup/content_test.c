/* SPDX-License-Identifier: Apache-2.0 */
/* Beside Debian's: test/compat/test_cleanup.py. */
#include "message_testing.h"

#define ID   "NMessage-Id: <19700101000000.ABC1@mx.test>|"
#define DATE "NDate: Thu,  1 Jan 1970 00:00:00 +0000 (UTC)|"
#define FROM "NFrom: s@x.test|"
#define BODY "N|Nbody|X|"

/* A piece has room for the name of a field. */
enum { REMOTE = 1, NULL_SENDER = 2, PIECE = 16 };

static const struct {
	const char *config;
	unsigned how;
	const char *name; /* full name */
	const char *in;   /* before an empty line and "body" */
	const char *out;  /* before BODY */
} rows[] = {
	{"", 0, "", "X: y\n", "NX: y|" ID DATE FROM},
	{"", 0, "", "", ID DATE FROM},
	{"", REMOTE, "", "X: y\nTo: a\n", "NX: y|NTo: a|"},
	{"always_add_missing_headers = yes\n", REMOTE, "", "X: y\n",
	 "NX: y|" ID DATE FROM},
	{"", 0, "", "From: a\nDate: d\nMessage-Id: <m>\n",
	 "NFrom: a@test|NDate: d|NMessage-Id: <m>|"},
	{"", 0, "", "Resent-To: a\n",
	 "NResent-To: a@test|NResent-Message-Id: <19700101000000.ABC1@mx.test>|"
	 "NResent-Date: Thu,  1 Jan 1970 00:00:00 +0000 (UTC)|NResent-From: s@x.test|"},
	{"", NULL_SENDER, "", "", ID DATE "NFrom: MAILER-DAEMON|"},
	{"", 0, "A  B", "", ID DATE "NFrom: A B <s@x.test>|"},
	{"", 0, "A. B", "", ID DATE "NFrom: \"A. B\" <s@x.test>|"},
	{"", 0, "A \"B\\", "", ID DATE "NFrom: \"A \\\"B\\\\\" <s@x.test>|"},
	{"undisclosed_recipients_header = To: nobody:;\n", 0, "", "",
	 ID DATE FROM "NTo: nobody:;|"},
	{"undisclosed_recipients_header = To: nobody:;\n", 0, "", "Cc: a@b\n",
	 "NCc: a@b|" ID DATE FROM},
	{"", 0, "", "Bcc: a\nReturn-Path: <b>\nContent-Length: 3\nLines: 4\n",
	 "NLines: 4|" ID DATE FROM},
	{"message_drop_headers = lines\n", 0, "", "Bcc: a@b\nLines: 4\n",
	 "NBcc: a@b|" ID DATE FROM},
	{"", 0, "", "To: a, b@c,\n d\n", "NTo: a@test, b@c, d@test|" ID DATE FROM},
	{"", 0, "", "To: a@b (x),  c@d\n", "NTo: a@b (x),  c@d|" ID DATE FROM},
	{"", 0, "", "X : y\n", "NX: y|" ID DATE FROM},
	{"", 0, "", "X: a\n b\n\tc\n", "NX: a|N b|N\tc|" ID DATE FROM},
	{"", 0, "", "X: a\rb\n", "NX: a b|" ID DATE FROM},
	{"", 0, "", "no field\n", ID DATE FROM "N|Nno field|"},
	{"line_length_limit = 600\nheader_size_limit = 4\n", 0, "", "X: yz\n",
	 "NX: y|" ID DATE FROM},
	{"canonical_maps = inline:{a@test=b@new.test}\n", 0, "", "To: a\nFrom: a\n",
	 "NTo: b@new.test|NFrom: b@new.test|" ID DATE},
	{"sender_canonical_maps = inline:{a@test=b@new.test}\n", 0, "",
	 "To: a\nFrom: a\n", "NTo: a@test|NFrom: b@new.test|" ID DATE},
	{"canonical_maps = inline:{a@test=b@new.test}\n", REMOTE, "", "To: a@test\n",
	 "NTo: a@test|"},
	{"masquerade_domains = test\n", 0, "", "To: a@h.test\nFrom: B <b@i.test>\n",
	 "NTo: a@test|NFrom: B <b@test>|" ID DATE},
};

static void
feed(struct message *m, struct str text, size_t piece)
{
	struct str line;

	content_begin(m);
	while (str_line(&text, &line)) {
		while (line.len > piece) {
			content_text(m, str_head(line, piece), false);
			line = str_skip(line, piece);
		}
		content_text(m, line, true);
	}
	content_text(m, STR_EMPTY, true);
	content_text(m, STR("body"), true);
	content_end(m);
}

static void
check(size_t row, size_t piece)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, rows[row].config);
	struct str got, want;

	f->m.is_remote = (rows[row].how & REMOTE) != 0;
	f->m.sender = (rows[row].how & NULL_SENDER) != 0 ? STR_EMPTY : STR("s@x.test");
	f->m.full_name = str_from(rows[row].name);
	feed(&f->m, str_from(rows[row].in), piece);
	assert_int_equal(f->m.status, CLEANUP_OK);
	got = fixture_records(mem, f);
	want = str_printf(mem, "M|%s%s", rows[row].out, BODY);
	if (!str_eq(got, want))
		fail_msg("row %zu \"%s\":\n%s\nnot\n%s", row, rows[row].in,
			 str_c(mem, got), str_c(mem, want));
	fixture_free(f);
	arena_free(&mem);
}

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		check(i, SIZE_MAX);
		check(i, PIECE);
	}
}

static void
test_body(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, "");

	(void)state;
	f->m.is_remote = true;
	content_begin(&f->m);
	content_text(&f->m, STR("X: y"), true);
	content_text(&f->m, STR_EMPTY, true);
	content_text(&f->m, STR("To: a\r"), true);
	content_text(&f->m, STR("piece\n"), false);
	content_text(&f->m, STR("end"), false);
	content_end(&f->m);
	/* Stray bytes become blanks, and the last line ends. */
	assert_true(str_eq(fixture_records(mem, f),
			   STR("M|NX: y|N|NTo: a |Lpiece |Lend|N|X|")));
	fixture_free(f);
	arena_free(&mem);
}

/* A NUL ends a field; what is behind it must not become another one. */
static void
test_nul(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, "");

	(void)state;
	f->m.is_remote = true;
	content_begin(&f->m);
	content_text(&f->m, STR("X: a\0b"), true);
	content_text(&f->m, STR("\0To: a"), true);
	content_text(&f->m, STR_EMPTY, true);
	content_end(&f->m);
	assert_true(str_starts(fixture_records(mem, f), STR("M|NX: a|")));
	fixture_free(f);
	arena_free(&mem);
}

static void
test_hops(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, "hopcount_limit = 3\n");

	(void)state;
	feed(&f->m, STR("Received: a\nReceived: b\n"), SIZE_MAX);
	assert_int_equal(f->m.status, CLEANUP_OK);
	fixture_free(f);
	f = fixture_new(mem, "hopcount_limit = 3\n");
	feed(&f->m, STR("Received: a\nReceived: b\nreceived: c\n"), SIZE_MAX);
	assert_int_equal(f->m.status, CLEANUP_HOPS);
	assert_true(str_ends(str_trim(file_text(mem, f->log_fd)),
			     STR("message-id=<19700101000000.ABC1@mx.test>")));
	fixture_free(f);
	arena_free(&mem);
}

static const struct {
	const char *value;
	const char *encoding;
} encodings[] = {{"8bit", "8bit"}, {" 8BIT ", "8bit"}, {"7bit", ""},  {"binary", ""},
		 {"base64", ""},   {"8bit (x)", ""},   {"quoted", ""}};

static void
test_encoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		struct arena *mem = arena_new();
		struct fixture *f = fixture_new(mem, "");

		feed(&f->m,
		     str_printf(mem, "Content-Transfer-Encoding: %s\n",
				encodings[i].value),
		     SIZE_MAX);
		assert_true(str_eq(f->m.encoding, str_from(encodings[i].encoding)));
		fixture_free(f);
		arena_free(&mem);
	}
}

static void
test_broken_table(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, "canonical_maps = fail:x\n");

	(void)state;
	feed(&f->m, STR("To: a\n"), SIZE_MAX);
	assert_int_equal(f->m.status, CLEANUP_WRITE);
	fixture_free(f);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),  cmocka_unit_test(test_body),
		cmocka_unit_test(test_nul),      cmocka_unit_test(test_hops),
		cmocka_unit_test(test_encoding), cmocka_unit_test(test_broken_table),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
