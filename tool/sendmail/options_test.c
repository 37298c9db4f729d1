/* SPDX-License-Identifier: Apache-2.0 */
/* Options that end the program are the matter of test/compat/test_submit.py. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

enum { WORDS_MAX = 20 };

/* What is not as without options, in the order of the struct, then the recipients. */
static const struct {
	const char *line; /* words, one blank between them; "_" is an empty word */
	const char *told;
	const char *warning; /* a part of it; NULL: nothing is said */
} rows[] = {
	{"a b", "a b", NULL},
	{"-bm -i a", "dot a", NULL},
	{"-oi a", "dot a", NULL},
	{"-om -o7 -oX a", "a", NULL},
	{"-f s@x a", "sender=s@x a", NULL},
	{"-fs@x -ry a", "sender=y a", NULL},
	{"-f _ a", "sender= a", NULL},
	{"-F Name a", "name=Name a", NULL},
	{"-B8BITMIME a", "encoding=8bit a", NULL},
	{"-B 7BIT a", "encoding=7bit a", NULL},
	{"-N success,delay a", "notify=10 a", NULL},
	{"-N NEVER a", "notify=1 a", NULL},
	{"-N never,delay a", "a", "bad -N option value"},
	{"-N bogus a", "a", "unknown DSN NOTIFY command value \"bogus\""},
	{"-R hdrs a", "ret=2 a", NULL},
	{"-R full a", "ret=1 a", NULL},
	{"-R x a", "a", "bad -R option value"},
	{"-V envid a", "envid=envid a", NULL},
	{"-Venvid a", "envid=envid a", NULL},
	{"-V += a", "verp += a", "deprecated"},
	{"-V+= a", "verp=+= a", "deprecated"},
	{"-XV a", "verp a", NULL},
	{"-XV+= a", "verp=+= a", NULL},
	{"-V \x01 a", "a", "bad syntax in -V"},
	{"-t", "headers ", NULL},
	{"-ti a", "headers dot a", NULL},
	{"-v -v a", "verbose=2 a", NULL},
	{"-bv a", "probe a", NULL},
	{"-G a", "remote a", NULL},
	{"-bp", "mode=2 ", NULL},
	{"-q", "mode=3 ", NULL},
	{"-qIABC", "mode=4 what=ABC ", NULL},
	{"-qRexample.org", "mode=5 what=example.org ", NULL},
	{"-q15m a", "quit a", NULL},
	{"-bd -q15m", "mode=1 ", NULL},
	{"-bd -q", "mode=1 ", "ignoring -q option in daemon mode"},
	{"-bi", "mode=6 ", NULL},
	{"-I", "mode=6 ", NULL},
	{"-oA/etc/x -bi", "mode=6 aliases=/etc/x ", NULL},
	{"-bs", "mode=7 ", NULL},
	{"-bh", "mode=8 ", NULL},
	{"-Ac -h 20 -U -L tag -O x=y -p z -m -x -c a", "a", NULL},
	{"-- -a b", "-a b", NULL},
	{"a -f b", "a -f b", NULL},
	{"-", "-", NULL},
	{"", "", NULL},
};

static char **
words_of(struct arena *mem, const char *line, int *argc_out)
{
	char **argv = arena_alloc_array(mem, WORDS_MAX, sizeof(*argv));
	struct str rest = str_from(line);
	struct str word;
	int n = 0;

	argv[n++] = str_c(mem, STR("sendmail"));
	while (str_token(&rest, " ", &word)) {
		assert_true(n < WORDS_MAX - 1);
		argv[n++] = str_c(mem, str_eq(word, STR("_")) ? STR_EMPTY : word);
	}
	argv[n] = NULL;
	*argc_out = n;
	return argv;
}

static void
tell_text(struct buf *out, const char *name, const char *value)
{
	if (value != NULL)
		buf_printf(out, "%s=%s ", name, value);
}

static void
tell_flag(struct buf *out, const char *name, bool value)
{
	if (value)
		buf_printf(out, "%s ", name);
}

static void
tell_number(struct buf *out, const char *name, int value)
{
	if (value != 0)
		buf_printf(out, "%s=%d ", name, value);
}

static struct str
tell(struct arena *mem, const struct sendmail_options *o)
{
	struct buf *out = buf_new(mem, 10000);

	tell_number(out, "mode", (int)o->mode);
	tell_text(out, "sender", o->sender);
	tell_text(out, "name", o->full_name);
	tell_text(out, "encoding", o->encoding);
	tell_text(out, "envid", o->envelope_id);
	tell_text(out, "aliases", o->alias_map);
	tell_text(out, "what", o->flush_what);
	tell_flag(out, "verp", o->verp && o->verp_delimiters == NULL);
	tell_text(out, "verp", o->verp_delimiters);
	tell_flag(out, "headers", o->headers);
	tell_flag(out, "dot", o->ignore_dot);
	tell_flag(out, "probe", o->probe);
	tell_flag(out, "remote", o->remote);
	tell_flag(out, "quit", o->quit);
	tell_number(out, "verbose", (int)o->verbose);
	tell_number(out, "notify", (int)o->dsn_notify);
	tell_number(out, "ret", o->dsn_ret);
	for (char **r = o->recipients; *r != NULL; r++)
		buf_printf(out, "%s%s", r == o->recipients ? "" : " ", *r);
	return buf_str(out);
}

/* What was logged, from the pipe. */
static struct str
said(struct arena *mem, int fd)
{
	char *text = arena_alloc(mem, 10000);
	ssize_t n = read(fd, text, 10000);

	return str_from_mem(text, n > 0 ? (size_t)n : 0);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct log *log = log_new("postfix/sendmail");
		struct sendmail_options o = {0};
		struct str got, warning;
		int pipes[2], argc;
		char **argv = words_of(mem, rows[i].line, &argc);

		assert_int_equal(pipe(pipes), 0);
		log_to_fd(log, pipes[1], "host");
		assert_null(sendmail_options_directory(mem, log, argc, argv));
		sendmail_options_parse(log, argc, argv, &o);
		log_free(&log);
		close(pipes[1]);
		got = tell(mem, &o);
		warning = said(mem, pipes[0]);
		close(pipes[0]);
		if (!str_eq(got, str_from(rows[i].told)))
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].line, str_c(mem, got),
				 rows[i].told);
		if (rows[i].warning == NULL
			    ? warning.len > 0
			    : strstr(str_c(mem, warning), rows[i].warning) == NULL)
			fail_msg("%s: said \"%s\"", rows[i].line, str_c(mem, warning));
		arena_free(&mem);
	}
}

static const char *const directories[][2] = {
	{"-C /etc/x a", "/etc/x"},
	{"-C/etc/x/main.cf a", "/etc/x"},
	{"-C main.cf a", "."},
	{"-i -C /a -f b c", "/a"},
};

static void
test_directory(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		struct arena *mem = arena_new();
		struct log *log = log_new("postfix/sendmail");
		int argc;
		char **argv = words_of(mem, directories[i][0], &argc);

		assert_string_equal(sendmail_options_directory(mem, log, argc, argv),
				    directories[i][1]);
		log_free(&log);
		arena_free(&mem);
	}
}

static const struct {
	const char *name, *option;
	enum sendmail_mode mode;
} names[] = {
	{"sendmail", NULL, MODE_SUBMIT},    {"mailq", NULL, MODE_LIST},
	{"newaliases", NULL, MODE_ALIASES}, {"smtpd", NULL, MODE_SMTP},
	{"rmail", NULL, MODE_SUBMIT},       {"mailq", "-bm", MODE_SUBMIT},
	{"mailq", "-i", MODE_LIST},
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct arena *mem = arena_new();
		struct log *log = log_new("postfix/sendmail");
		struct sendmail_options o = {0};
		char *argv[] = {arena_strdup(mem, names[i].name), NULL, NULL};

		if (names[i].option != NULL)
			argv[1] = arena_strdup(mem, names[i].option);
		sendmail_options_parse(log, argv[1] == NULL ? 1 : 2, argv, &o);
		assert_int_equal(o.mode, names[i].mode);
		log_free(&log);
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
