/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of commands, sensible and not, against a model of what an SMTP
 * server has to remember: whether there was a greeting, a sender, how many recipients,
 * whether chunks are being taken or thrown away, how many errors there were. The model
 * knows nothing of the server's code; both must agree on every reply, and on every
 * message that cleanup was told to keep.
 *
 * model_test [SEQUENCES [SEED]]; a failure names the seed that repeats it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session_testing.h"

enum {
	SEQUENCES = 10000,
	COMMANDS_MAX = 40,
	RECIPIENTS_MAX = 3,
	ERRORS_MAX = 9,
	SIZE_LIMIT = 300,
	PIECES_MAX = 4096,
	TEXT_MAX = 1 << 17,
	EXPECTED_MAX = 2 * COMMANDS_MAX + 4,
};

static const char config[] =
	"smtpd_helo_required = yes\n"
	"smtpd_delay_reject = no\n"
	"smtpd_recipient_limit = 3\n"
	"smtpd_recipient_overshoot_limit = 1\n"
	"smtpd_hard_error_limit = 9\n"
	"message_size_limit = 300\n"
	"notify_classes =\n"
	"relay_domains = r.example\n"
	"smtpd_relay_restrictions = reject_unauth_destination\n"
	"smtpd_helo_restrictions = check_helo_access inline:{{bad.example=REJECT}}\n"
	"smtpd_sender_restrictions = check_sender_access "
	"inline:{{bad@s.example=REJECT}, {later@s.example=450 4.7.1 later}, "
	"{end@s.example=521 5.7.1 go}}\n"
	"smtpd_recipient_restrictions = check_recipient_access "
	"inline:{{bad@r.example=REJECT}, {later@r.example=DEFER}}, permit\n"
	"smtpd_data_restrictions = check_sender_access "
	"inline:{{nodata@s.example=REJECT}}\n"
	"smtpd_end_of_data_restrictions = "
	"check_sender_access inline:{{noend@s.example=REJECT}}\n"
	"smtpd_tls_security_level = may\n"
	"smtpd_tls_cert_file = none\n"
	"smtpd_sasl_auth_enable = yes\n";

/* ---- chance ---- */

static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- the model ---- */

struct model {
	uint64_t random;
	struct buf text;            /* what the client says */
	int expected[EXPECTED_MAX]; /* codes of all replies */
	size_t n_expected;
	bool over; /* the server has ended the session */

	bool helo;
	bool mail;
	const char *sender;
	size_t n_recipients;
	size_t overshoot;
	bool in_chunks; /* BDAT has begun in this mail */
	bool throws;    /* chunks are thrown away up to the last */
	size_t chunked; /* bytes of the message so far */
	int errors;

	/* cleanup, by connection. */
	enum talk_cleanup cleanups[TALK_MESSAGES_MAX];
	size_t n_cleanups;
	bool connected;

	bool tls;
	size_t ends[COMMANDS_MAX]; /* of the text, where the client waits */
	size_t n_ends;
	bool logged_in;
	enum talk_login logins[COMMANDS_MAX]; /* by number of log-in */
	size_t n_logins;

	/* What cleanup must have taken. */
	struct str envelopes[COMMANDS_MAX];
	size_t connection_of[COMMANDS_MAX];
	size_t n_messages;
	struct buf envelope; /* of the present mail: "sender recipient ..." */
	struct arena *mem;
};

static size_t
pick(struct model *m, size_t n)
{
	return (size_t)(next_random(&m->random) % n);
}

static bool
chance(struct model *m, size_t percent)
{
	return pick(m, 100) < percent;
}

static void
say(struct model *m, const char *line)
{
	buf_printf(&m->text, "%s\r\n", line);
}

static void
expect(struct model *m, int code)
{
	ensure(m->n_expected < EXPECTED_MAX);
	m->expected[m->n_expected++] = code;
	if (code == 421 || code == 521)
		m->over = true;
}

/* A reply that counts as an error. */
static void
expect_error(struct model *m, int code)
{
	m->errors++;
	expect(m, code);
}

static void
forget_mail(struct model *m)
{
	m->mail = m->in_chunks = m->throws = m->connected = false;
	m->n_recipients = m->overshoot = m->chunked = 0;
	buf_clear(&m->envelope);
}

static enum talk_cleanup
this_cleanup(const struct model *m)
{
	return m->cleanups[m->n_cleanups - 1];
}

/* All of the content was sent, and is not too large. */
static void
end_message(struct model *m, size_t size)
{
	enum talk_cleanup how = this_cleanup(m);

	if (size > SIZE_LIMIT) {
		expect_error(m, 552);
	} else if (strcmp(m->sender, "noend@s.example") == 0) {
		expect_error(m, 554);
	} else if (how == TALK_TAKES) {
		expect(m, 250);
		m->envelopes[m->n_messages] = str_dup(m->mem, buf_str(&m->envelope));
		m->connection_of[m->n_messages++] = m->n_cleanups - 1;
		m->errors = 0;
	} else {
		expect_error(m, how == TALK_REFUSES_CONTENT ? 550 : 451);
	}
	forget_mail(m);
}

/* ---- commands ---- */

static void
do_hello(struct model *m)
{
	static const char *const verbs[] = {"HELO", "EHLO", "helo", "Ehlo"};
	const char *verb = verbs[pick(m, ARRAY_LEN(verbs))];

	if (chance(m, 5)) {
		say(m, verb);
		expect_error(m, 501);
		return;
	}
	forget_mail(m);
	m->helo = !chance(m, 15);
	buf_printf(&m->text, "%s %s\r\n", verb, m->helo ? "c.example" : "bad.example");
	if (m->helo)
		expect(m, 250);
	else
		expect_error(m, 554);
}

static void
do_mail(struct model *m)
{
	static const struct {
		const char *text;
		const char *sender;
		int code;
	} rows[] = {
		{"FROM:<a@s.example>", "a@s.example", 250},
		{"FROM:<a@s.example>", "a@s.example", 250},
		{"FROM:<b@s.example> SIZE=10 BODY=8BITMIME", "b@s.example", 250},
		{"FROM:<>", "", 250},
		{"from: c@s.example", "c@s.example", 250},
		{"FROM:<nodata@s.example>", "nodata@s.example", 250},
		{"FROM:<noend@s.example>", "noend@s.example", 250},
		{"FROM:<bad@s.example>", NULL, 554},
		{"FROM:<later@s.example>", NULL, 450},
		{"FROM:<end@s.example>", NULL, 521},
		{"FROM:<a@s.example> SIZE=301", NULL, 552},
		{"FROM:<a@s.example> FOO=BAR", NULL, 555},
		{"FROM:<a@s.example> SIZE=x", NULL, 501},
		{"FROM:<a@s.example", NULL, 501},
		{"", NULL, 501},
		{"TO:<a@s.example>", NULL, 501},
	};
	size_t i = pick(m, chance(m, 70) ? 7 : ARRAY_LEN(rows));

	buf_printf(&m->text, "MAIL %s\r\n", rows[i].text);
	if (!m->helo || m->mail || m->throws) {
		expect_error(m, 503);
	} else if (rows[i].sender == NULL) {
		expect_error(m, rows[i].code);
	} else {
		m->mail = true;
		m->sender = rows[i].sender;
		buf_printf(&m->envelope, "%s", m->sender);
		expect(m, 250);
	}
}

static bool
connect_cleanup(struct model *m)
{
	if (m->connected)
		return true;
	m->n_cleanups++;
	m->connected =
		this_cleanup(m) != TALK_IS_AWAY && this_cleanup(m) != TALK_IS_SILENT;
	return m->connected;
}

/* code: what the command would get if nothing stood against it. */
static int
rcpt_code(struct model *m, int code)
{
	if (!m->mail || m->in_chunks || m->throws)
		return 503;
	if (code == 501 || code == 555)
		return code;
	if (m->n_recipients == RECIPIENTS_MAX)
		return 452;
	if (code == 250 && !connect_cleanup(m))
		return 451;
	return code;
}

static void
do_rcpt(struct model *m)
{
	static const struct {
		const char *text;
		const char *recipient;
		int code;
	} rows[] = {
		{"TO:<a@r.example>", "a@r.example", 250},
		{"TO:<b@r.example>", "b@r.example", 250},
		{"TO:<c@r.example> NOTIFY=NEVER", "c@r.example", 250},
		{"TO:<bad@r.example>", NULL, 554},
		{"TO:<later@r.example>", NULL, 450},
		{"TO:<>", NULL, 501},
		{"TO:<a@r.example> NOTIFY=FOO", NULL, 501},
		{"TO:<a@r.example> FOO", NULL, 555},
		{"", NULL, 501},
	};
	size_t i = pick(m, chance(m, 70) ? 3 : ARRAY_LEN(rows));
	int code;

	buf_printf(&m->text, "RCPT %s\r\n", rows[i].text);
	code = rcpt_code(m, rows[i].code);
	/* The first recipients beyond the limit are forgiven. */
	if (code == 250 || (code == 452 && m->overshoot++ < 1))
		expect(m, code);
	else
		expect_error(m, code);
	if (code == 250) {
		m->n_recipients++;
		buf_printf(&m->envelope, " %s", rows[i].recipient);
	}
}

static const char *const contents[] = {
	"Subject: x\r\n\r\nbody\r\n",
	"",
	"\r\n",
	"no header\r\n",
	"Subject: x\r\n\r\n..\r\n..x\r\n",
	"A: b\r\n\r\nx\nbare\r\n",
	"A: b\r\n\r\n\r.\r\n.\n\r\n",
	"MAIL FROM:<x@y>\r\nQUIT\r\n",
};

static const char large[] =
	"A: b\r\n\r\n"
	"123456789012345678901234567890123456789012345678901234567890\r\n"
	"123456789012345678901234567890123456789012345678901234567890\r\n"
	"123456789012345678901234567890123456789012345678901234567890\r\n"
	"123456789012345678901234567890123456789012345678901234567890\r\n"
	"123456789012345678901234567890123456789012345678901234567890\r\n";

static int
data_code(const struct model *m, bool has_argument)
{
	if (m->throws || m->in_chunks || !m->mail)
		return 503;
	if (m->n_recipients == 0)
		return 554;
	if (has_argument)
		return 501;
	return strcmp(m->sender, "nodata@s.example") == 0 ? 554 : 354;
}

static void
do_data(struct model *m)
{
	bool is_large = chance(m, 10);
	bool has_argument = chance(m, 5);
	int code = data_code(m, has_argument);

	say(m, has_argument ? "DATA x" : "DATA");
	if (code != 354) {
		expect_error(m, code);
		return;
	}
	expect(m, 354);
	buf_add_c(&m->text, is_large ? large : contents[pick(m, ARRAY_LEN(contents))]);
	say(m, ".");
	end_message(m, is_large ? SIZE_LIMIT + 1 : 0);
}

/* Refused: this chunk and those that follow, up to the last. */
static void
refuse_chunk(struct model *m, bool last, int code)
{
	expect_error(m, code);
	if (last)
		forget_mail(m);
	else
		m->throws = true;
}

static int
chunk_code(const struct model *m, size_t size, bool last)
{
	if ((size == 0 && !last) || m->throws)
		return 551;
	if (!m->mail)
		return 503;
	if (m->n_recipients == 0)
		return 554;
	if (m->chunked + size > SIZE_LIMIT)
		return 552;
	return strcmp(m->sender, "nodata@s.example") == 0 ? 554 : 250;
}

static void
do_bdat(struct model *m)
{
	const char *chunk = contents[pick(m, ARRAY_LEN(contents))];
	bool last = chance(m, 40);
	size_t size = strlen(chunk);
	int code;

	if (chance(m, 2)) {
		say(m, "BDAT x");
		expect_error(m, 521);
		return;
	}
	if (chance(m, 10)) {
		chunk = large;
		size = strlen(large);
	}
	buf_printf(&m->text, "BDAT %zu%s\r\n%s", size, last ? " LAST" : "", chunk);
	code = chunk_code(m, size, last);
	/* From here on it is a mail in chunks, even if this one is not taken. */
	m->in_chunks = m->in_chunks || (m->mail && !m->throws && (size > 0 || last));
	if (code != 250) {
		refuse_chunk(m, last, code);
		return;
	}
	m->chunked += size;
	if (last)
		end_message(m, 0);
	else
		expect(m, 250);
}

static void
do_rset(struct model *m)
{
	if (chance(m, 10)) {
		say(m, "RSET x");
		expect_error(m, 501);
		return;
	}
	say(m, "RSET");
	forget_mail(m);
	expect(m, 250);
}

static void
do_vrfy(struct model *m)
{
	if (!m->helo) {
		say(m, "VRFY a@r.example");
		expect_error(m, 503);
	} else if (chance(m, 50)) {
		say(m, "VRFY a@r.example");
		expect(m, 252);
	} else {
		say(m, "VRFY bad@r.example");
		expect_error(m, 554);
	}
}

static void
do_etrn(struct model *m)
{
	say(m, "ETRN s.example");
	expect_error(m, !m->helo || m->mail ? 503 : 458);
}

/* Those that change nothing. */
static void
do_other(struct model *m)
{
	static const struct {
		const char *line;
		int code;
		bool is_error;
	} rows[] = {
		{"NOOP", 250, false},      {"NOOP x y", 250, false}, {"HELP", 214, false},
		{"STARTTLS x", 501, true}, {"FOO", 500, true},       {"", 500, true},
	};
	size_t i = pick(m, ARRAY_LEN(rows));

	say(m, rows[i].line);
	if (rows[i].is_error)
		expect_error(m, rows[i].code);
	else
		expect(m, rows[i].code);
}

/* What saslauth says in the end. */
static void
end_login(struct model *m, enum talk_login how)
{
	if (how == TALK_KNOWN || how == TALK_ASKS_KNOWN) {
		m->logged_in = true;
		expect(m, 235);
		return;
	}
	expect_error(m, how == TALK_WRONG || how == TALK_ASKS_WRONG ? 535 : 454);
}

static void
do_auth(struct model *m)
{
	static const struct {
		const char *line;
		int code; /* 0: saslauth is asked */
	} rows[] = {
		{"AUTH PLAIN AHUAcA==", 0}, {"auth plain", 0},      {"AUTH LOGIN", 0},
		{"AUTH LOGIN dXNlcg==", 0}, {"AUTH CRAM-MD5", 535}, {"AUTH", 501},
		{"AUTH PLAIN a b", 501},
	};
	size_t i = pick(m, ARRAY_LEN(rows));
	enum talk_login how;

	say(m, rows[i].line);
	if (!m->helo || m->mail || m->logged_in) {
		expect_error(m, 503);
		return;
	}
	if (rows[i].code != 0) {
		expect_error(m, rows[i].code);
		return;
	}
	how = m->logins[m->n_logins++];
	if (how != TALK_ASKS_KNOWN && how != TALK_ASKS_WRONG) {
		end_login(m, how);
		return;
	}
	expect(m, 334);
	if (chance(m, 20)) {
		say(m, "*");
		expect_error(m, 501);
		return;
	}
	say(m, "cGFzcw==");
	end_login(m, how);
}

static void
do_starttls(struct model *m)
{
	say(m, "STARTTLS");
	if (m->tls) {
		expect_error(m, 554);
		return;
	}
	expect(m, 220);
	forget_mail(m);
	m->helo = m->logged_in = false;
	m->tls = true;
	m->ends[m->n_ends++] = m->text.len;
}

static void
do_xclient(struct model *m)
{
	say(m, chance(m, 50) ? "XCLIENT NAME=x" : "XFORWARD NAME=x");
	expect_error(m, m->mail ? 503 : 550);
}

static void
do_end(struct model *m)
{
	static const char *const lines[] = {"QUIT", "QUIT", "Subject: x",
					    "GET / HTTP/1.1"};

	say(m, lines[pick(m, ARRAY_LEN(lines))]);
	expect(m, 221);
	m->over = true;
}

typedef void action_fn(struct model *m);

static action_fn *
choose(struct model *m)
{
	static action_fn *const rare[] = {do_rset,    do_vrfy, do_etrn,     do_other,
					  do_xclient, do_auth, do_starttls, do_hello};

	/* Most sequences should get somewhere. */
	if (chance(m, 3))
		return do_end;
	if (chance(m, 25))
		return rare[pick(m, ARRAY_LEN(rare))];
	if (!m->helo)
		return chance(m, 80) ? do_hello : do_mail;
	if (!m->mail)
		return chance(m, 80) ? do_mail : chance(m, 50) ? do_rcpt : do_bdat;
	if (m->in_chunks)
		return chance(m, 80) ? do_bdat : do_data;
	if (m->n_recipients == 0 || chance(m, 30))
		return do_rcpt;
	return chance(m, 50) ? do_data : chance(m, 80) ? do_bdat : do_mail;
}

static void
plan(struct model *m)
{
	size_t n = 1 + pick(m, COMMANDS_MAX);

	for (size_t i = 0; i < TALK_MESSAGES_MAX; i++)
		m->cleanups[i] = chance(m, 70)
					 ? TALK_TAKES
					 : (enum talk_cleanup)pick(m, TALK_CLEANUPS);
	for (size_t i = 0; i < ARRAY_LEN(m->logins); i++)
		m->logins[i] = (enum talk_login)pick(m, TALK_LOGINS);
	expect(m, 220);
	for (size_t i = 0; i < n && !m->over; i++) {
		choose(m)(m);
		if (!m->over && m->errors >= ERRORS_MAX)
			expect(m, 421);
	}
}

/* ---- comparing ---- */

static size_t
replies(struct str text, int *codes, size_t max)
{
	struct str line;
	size_t n = 0;

	while (str_line(&text, &line)) {
		int64_t code = 0;

		if (line.len < 4 || !str_to_i64(str_head(line, 3), 200, 599, &code))
			return 0;
		if (line.p[3] == ' ' && n < max)
			codes[n++] = (int)code;
	}
	return n;
}

/* "sender recipient ..." of what cleanup has got, or nothing if it is not whole. */
static struct str
envelope_of(struct arena *mem, const struct talk *t, size_t connection)
{
	struct str rest = talk_records(t, connection);
	struct buf *out = buf_new(mem, TALK_OUT_MAX);
	struct record r = {.letter = 0};

	while (talk_next_record(&rest, &r)) {
		if (r.letter == RECORD_LETTER(SENDER))
			buf_add(out, r.data);
		if (r.letter == RECORD_LETTER(RECIPIENT)) {
			buf_add_c(out, " ");
			buf_add(out, r.data);
		}
	}
	return r.letter == RECORD_LETTER(END) ? buf_str(out) : STR_EMPTY;
}

static const char *
difference(struct model *m, const struct talk *t)
{
	int codes[EXPECTED_MAX + 8];
	size_t n = replies(buf_str(&t->out), codes, ARRAY_LEN(codes));

	for (size_t i = 0; i < MAX_OF(n, m->n_expected); i++)
		if (i >= n || i >= m->n_expected || codes[i] != m->expected[i])
			return str_c(m->mem,
				     str_printf(m->mem, "reply %zu is %d, not %d", i,
						i < n ? codes[i] : 0,
						i < m->n_expected ? m->expected[i] : 0));
	if (t->connections != m->n_cleanups)
		return "cleanup was asked another number of times";
	for (size_t i = 0; i < m->n_messages; i++) {
		struct str got = envelope_of(m->mem, t, m->connection_of[i]);

		if (!str_eq(got, m->envelopes[i]))
			return str_c(m->mem, str_printf(m->mem, "envelope " PRI_STR,
							STR_ARG(got)));
	}
	return NULL;
}

/* A message that was not acknowledged may be known to cleanup as a whole only where it
 * said no, or where its answer was lost. */
static bool
none_whole_but_these(struct model *m, const struct talk *t)
{
	for (size_t i = 0; i < t->connections; i++) {
		bool is_ours = false;

		for (size_t k = 0; k < m->n_messages; k++)
			is_ours = is_ours || m->connection_of[k] == i;
		if (!is_ours && m->cleanups[i] == TALK_TAKES &&
		    envelope_of(m->mem, t, i).len > 0)
			return false;
	}
	return true;
}

static bool
run_one(struct talk_server *server, uint64_t seed, const char **why)
{
	static const size_t sizes[] = {1, 2, 7, 61, 4096};
	struct arena *mem = arena_new();
	struct model m = {.random = seed, .mem = mem};
	struct str *pieces;
	struct talk t;
	size_t n;

	buf_init(&m.text, TEXT_MAX);
	buf_init(&m.envelope, TEXT_MAX);
	plan(&m);
	pieces = arena_alloc_array(mem, m.text.len + 1, sizeof(*pieces));
	n = talk_cut(buf_str(&m.text), sizes[pick(&m, ARRAY_LEN(sizes))], m.ends,
		     m.n_ends, pieces, m.text.len + 1);
	talk_init(&t, mem, pieces, n);
	t.cleanups = m.cleanups;
	t.n_cleanups = TALK_MESSAGES_MAX;
	t.logins = m.logins;
	t.n_logins = ARRAY_LEN(m.logins);
	talk_run(server, &t);
	*why = difference(&m, &t);
	if (*why == NULL && !none_whole_but_these(&m, &t))
		*why = "cleanup has a message that was not acknowledged";
	if (*why != NULL)
		fprintf(stderr,
			"seed %" PRIu64 ": %s\n--- client\n" PRI_STR
			"--- server\n" PRI_STR,
			seed, *why, STR_ARG(buf_str(&m.text)), STR_ARG(buf_str(&t.out)));
	talk_release(&t);
	buf_release(&m.text);
	buf_release(&m.envelope);
	arena_free(&mem);
	return *why == NULL;
}

static uint64_t sequences = SEQUENCES;
static uint64_t first_seed = 1;

static void
server_agrees_with_model(void **state UNUSED)
{
	struct talk_server *server = talk_server_new(config);
	uint64_t messages = 0;

	for (uint64_t i = 0; i < sequences; i++) {
		const char *why;

		if (!run_one(server, first_seed + i, &why))
			fail();
		messages++;
	}
	assert_int_equal(messages, sequences);
	talk_server_free(&server);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_agrees_with_model),
	};

	if (argc > 1)
		sequences = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
