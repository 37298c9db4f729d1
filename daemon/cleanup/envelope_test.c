/* SPDX-License-Identifier: Apache-2.0 */
/* Beside Debian's: test/compat/test_cleanup.py. */
#include "message_testing.h"

static const struct {
	const char *config;
	const char *in; /* records of the envelope, "|" between them */
	const char *out;
	unsigned status;
} rows[] = {
	{"", "Ss@x|Rr@x", "Ss@x|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|", 0},
	{"", "Ss|Rr", "Ss@test|Adsn_orig_rcpt=rfc822;r@test|Or|Rr@test|", 0},
	{"", "S|R", "S|Adsn_orig_rcpt=rfc822;MAILER-DAEMON@test|O|RMAILER-DAEMON@test|",
	 0},
	{"", "FName|Ss@x", "FName|Ss@x|", 0},
	{"", "Aenvelope_id=x|Ss@x|Aencoding=8bit", "Aenvelope_id=x|Ss@x|Aencoding=8bit|",
	 0},
	{"", "Ss@x|Anotify_flags=1|Adsn_orig_rcpt=rfc822;o@x|Rr@x|Rq@x",
	 "Ss@x|Anotify_flags=1|Adsn_orig_rcpt=rfc822;o@x|Or@x|Rr@x|"
	 "Adsn_orig_rcpt=rfc822;q@x|Oq@x|Rq@x|",
	 0},
	{"", "Ss@x|Rr@x|RR@X|Rr@x", "Ss@x|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|", 0},
	{"duplicate_filter_limit = 1\n", "Ss@x|Ra@x|Rb@x|Ra@x|Rb@x",
	 "Ss@x|Adsn_orig_rcpt=rfc822;a@x|Oa@x|Ra@x|Adsn_orig_rcpt=rfc822;b@x|Ob@x|Rb@x|"
	 "Adsn_orig_rcpt=rfc822;b@x|Ob@x|Rb@x|",
	 0},
	{"", "Acreate_time=1|Ss@x", "Ss@x|", 0},
	{"", "Rr@x", "", CLEANUP_BAD},
	{"", "Ss@x|St@x", "Ss@x|", CLEANUP_BAD},
	{"", "Ss@x|Anone", "Ss@x|", CLEANUP_BAD},
	{"", "Ss@x|A=x", "Ss@x|", CLEANUP_BAD},
	{"", "Ss@x|Q", "Ss@x|", CLEANUP_BAD},
	{"", "", "", CLEANUP_BAD},
	{"virtual_alias_maps = inline:{{a@x=b@y, c@z}}\n", "Ss@x|Ra@x",
	 "Ss@x|Adsn_orig_rcpt=rfc822;a@x|Oa@x|Rb@y|Adsn_orig_rcpt=rfc822;a@x|Oa@x|Rc@z|",
	 0},
	{"canonical_maps = inline:{a@x=b@y}\n", "Sa@x|Ra@x",
	 "Sb@y|Adsn_orig_rcpt=rfc822;b@y|Oa@x|Rb@y|", 0},
	{"masquerade_domains = x\n", "Sa@h.x|Ra@h.x",
	 "Sa@x|Adsn_orig_rcpt=rfc822;a@h.x|Oa@h.x|Ra@h.x|", 0},
	{"sender_bcc_maps = inline:{s@x=c@y}\n", "Ss@x|Rr@x",
	 "Ss@x|Anotify_flags=1|Oc@y|Rc@y|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|", 0},
	{"recipient_bcc_maps = inline:{r@x=c}\n", "Ss@x|Rr@x",
	 "Ss@x|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|Anotify_flags=1|Oc@test|Rc@test|", 0},
	{"always_bcc = all\n", "Ss@x|Rr@x",
	 "Ss@x|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|Anotify_flags=1|Oall@test|Rall@test|",
	 0},
	{"virtual_alias_maps = fail:x\n", "Ss@x|Rr@x", "Ss@x|", CLEANUP_DEFER},
	{"sender_bcc_maps = fail:x\n", "Ss@x", "Ss@x|", CLEANUP_WRITE},
	{"sender_canonical_maps = fail:x\n", "Ss@x", "Ss@x|", CLEANUP_WRITE},
	{"recipient_bcc_maps = fail:x\n", "S|Rr@x",
	 "S|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|", CLEANUP_WRITE},
	/* Nothing of an envelope becomes a line of its own. */
	{"", "Ss\nt@x", "Ss t@x|", 0},
	{"", "Ss@x|Aenvelope_id=a\r\nb", "Ss@x|Aenvelope_id=a  b|", 0},
};

static void
feed(struct message *m, struct str text)
{
	struct str word;

	while (str_token(&text, "|", &word)) {
		const struct record r = {.letter = word.p[0], .data = str_skip(word, 1)};

		envelope_record(m, &r);
	}
	envelope_end(m);
	envelope_finish(m);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct fixture *f = fixture_new(mem, rows[i].config);
		struct str got;

		feed(&f->m, str_from(rows[i].in));
		got = fixture_records(mem, f);
		if (!str_eq(got, str_from(rows[i].out)) || f->m.status != rows[i].status)
			fail_msg("row %zu \"%s\": %u\n%s\nnot\n%s", i, rows[i].in,
				 f->m.status, str_c(mem, got), rows[i].out);
		fixture_free(f);
		arena_free(&mem);
	}
}

/* no_address_mappings: neither tables nor copies. */
static void
test_flags(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f =
		fixture_new(mem, "canonical_maps = inline:{s@x=t@x}\n"
				 "virtual_alias_maps = inline:{r@x=q@x}\n"
				 "masquerade_domains = x\nalways_bcc = all\n");

	(void)state;
	f->m.flags = 0;
	feed(&f->m, STR("Ss@x|Rr@x"));
	assert_true(str_eq(fixture_records(mem, f),
			   STR("Ss@x|Adsn_orig_rcpt=rfc822;r@x|Or@x|Rr@x|")));
	fixture_free(f);
	arena_free(&mem);
}

static void
test_times(void **state)
{
	struct arena *mem = arena_new();
	struct fixture *f = fixture_new(mem, "delay_warning_time = 1h\n");

	(void)state;
	feed(&f->m, STR("T100 250000|Ss@x"));
	assert_int_equal(f->m.arrival_us, 100250000);
	assert_true(str_eq(fixture_records(mem, f), STR("Ss@x|W           3700|")));
	fixture_free(f);
	arena_free(&mem);
}

/* For Postfix's qmgr: NOTIFY, and records between recipients. */
static void
test_options(void **state)
{
	static const struct {
		const char *in;
		int64_t options;
	} option_rows[] = {{"Ss@x|Rr@x", 0},
			   {"Ss@x|Anotify_flags=1|Rr@x", 2},
			   {"Ss@x|Anotify_flags=14|Rr@x|Anotify_flags=1|Rq@x", 30},
			   {"Ss@x|Rr@x|Aencoding=8bit", 1},
			   {"Ss@x|Aencoding=8bit|Rr@x", 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		struct arena *mem = arena_new();
		struct fixture *f = fixture_new(mem, "");

		feed(&f->m, str_from(option_rows[i].in));
		assert_int_equal(f->m.writer.qmgr_opts, option_rows[i].options);
		fixture_free(f);
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
