/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail, mailq, newaliases: the command that every program knows. A message goes to
 * postdrop as records; everything else is another command's work, which is started
 * instead.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"
#include "base/sys.h"

#include "command/command.h"
#include "command/permit.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/verp.h"
#include "queue/record.h"

#include "input.h"
#include "options.h"
#include "submit.h"

/* Values of the trace_flags attribute: -bv, -v. */
enum { TRACE_VERIFY = 512, TRACE_RECORD = 1024 };

/* Addresses are as many as fit: a field has its limit, the command line the kernel's. */
enum { TOKEN_LIMIT = INT_MAX };

/* Once the configuration is known every failure has this status: try again later. That is
 * what Postfix does, whatever sysexits.h would suggest (facts: programs 1). */
enum { STATUS_FAILED = EX_TEMPFAIL };

struct sendmail {
	struct command command;
	struct sendmail_options options;
	struct str sender;
	const char *who; /* "sender(uid)": stands before what is said of a message */
	struct submit submit;
	struct input input;
	size_t line_limit;
	/* -t: recipients found in the header; those of Resent- fields count alone if
	 * there are any. */
	struct str *found;
	size_t n_found, found_size;
	bool resent;
};

/* ---- other commands ---- */

NORETURN static void
run_program(struct command *c, const char *parameter, char *const *argv)
{
	const char *path = str_printf(c->mem, PRI_STR "/%s",
				      STR_ARG(command_get(c, parameter)), argv[0])
				   .p;

	execv(path, argv);
	log_fatal(c->log, EX_TEMPFAIL, "execute %s: %s", path, strerror(errno));
}

NORETURN static void
run_instead(struct command *c, const char *program, const char *option, const char *value)
{
	char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)option,
			(char *)(uintptr_t)value, NULL};

	run_program(c, "command_directory", argv);
}

/* -bd and its like: the mail system goes on without us. */
static int
start_daemon(struct command *c)
{
	int status = 0;
	pid_t child = sys_fork();

	if (child < 0)
		log_fatal(c->log, EX_TEMPFAIL, "fork: %s", strerror(errno));
	if (child == 0)
		run_instead(c, "postfix", "start", NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EX_OK : 1;
}

/* -bi, newaliases: the file of -oA, or all of alias_database. */
static int
rebuild_aliases(struct sendmail *s)
{
	struct command *c = &s->command;
	struct str maps = s->options.alias_map != NULL ? str_from(s->options.alias_map)
						       : command_get(c, "alias_database");
	struct str rest = maps;
	struct str map;
	size_t n = 0;
	char **argv;

	while (str_token(&rest, ", \t\r\n", &map))
		n++;
	if (n == 0)
		return EX_OK;
	argv = arena_alloc_array(c->mem, n + 3, sizeof(*argv));
	n = 0;
	argv[n++] = (char[]){"postalias"};
	argv[n++] = (char[]){"--"};
	while (str_token(&maps, ", \t\r\n", &map))
		argv[n++] = str_c(c->mem, map);
	argv[n] = NULL;
	run_program(c, "command_directory", argv);
}

/* ---- the envelope ---- */

static void
put(struct sendmail *s, enum record_letter letter, struct str data)
{
	submit_record(&s->submit, (char)letter, data);
}

static void
put_number(struct sendmail *s, const char *name, unsigned long value)
{
	submit_attribute(&s->submit, name, str_printf(s->command.mem, "%lu", value));
}

static void
put_recipient(struct sendmail *s, struct str address)
{
	if (s->options.dsn_notify != 0)
		put_number(s, "notify_flags", s->options.dsn_notify);
	put(s, RECORD_LETTER_RECIPIENT, address);
}

/* Each argument may hold several addresses; one without any is the empty address. */
static void
put_arguments(struct sendmail *s)
{
	for (char **arg = s->options.recipients; *arg != NULL; arg++) {
		struct address_list list;

		address_list_parse_all(s->command.mem, str_from(*arg), TOKEN_LIMIT,
				       &list);
		for (size_t i = 0; i < list.count; i++)
			put_recipient(s, list.internal[i]);
		if (list.count == 0)
			put_recipient(s, STR_EMPTY);
	}
}

static struct str
sender_of(struct sendmail *s)
{
	struct command *c = &s->command;
	struct address_list list;
	const char *login;

	if (s->options.sender != NULL) {
		address_list_parse_all(c->mem, str_from(s->options.sender), TOKEN_LIMIT,
				       &list);
		if (list.count > 1)
			log_warning(c->log, "-f option specified malformed sender: %s",
				    s->options.sender);
		return list.count == 0 ? STR_EMPTY : list.internal[0];
	}
	login = command_user(c, getuid());
	if (login == NULL)
		log_fatal(c->log, STATUS_FAILED,
			  "unable to find my login name for uid %ld", (long)getuid());
	return str_from(login);
}

/* "&" in the name field of the password file stands for the login name. */
static struct str
gecos_name(struct arena *mem, const struct passwd *pw)
{
	struct str field = str_from(pw->pw_gecos);
	struct str head;
	struct str tail;

	field = str_head(field, str_index(field, ','));
	if (!str_split(field, '&', &head, &tail))
		return str_dup(mem, field);
	return str_printf(mem, PRI_STR "%c%s" PRI_STR, STR_ARG(head),
			  char_upper(pw->pw_name[0]),
			  pw->pw_name[0] == '\0' ? "" : pw->pw_name + 1, STR_ARG(tail));
}

/* The name becomes part of a header line: it must not begin another. */
static struct str
in_one_line(struct arena *mem, const char *name)
{
	char *copy = arena_strdup(mem, name);

	for (char *p = copy; *p != '\0'; p++) {
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	}
	return str_from(copy);
}

/* p is NULL if nothing is known. */
static struct str
full_name_of(struct sendmail *s)
{
	const char *name = s->options.full_name;
	const struct passwd *pw;

	if (name == NULL)
		name = getenv("NAME");
	if (name != NULL)
		return in_one_line(s->command.mem, name);
	pw = getpwuid(getuid());
	return pw == NULL ? (struct str){NULL, 0} : gecos_name(s->command.mem, pw);
}

/* Empty: no VERP. */
static struct str
verp_delimiters(struct sendmail *s)
{
	const struct sendmail_options *o = &s->options;
	struct str allowed;
	struct str two;

	if (!o->verp)
		return STR_EMPTY;
	two = o->verp_delimiters != NULL
		      ? str_from(o->verp_delimiters)
		      : command_get(&s->command, "default_verp_delimiters");
	allowed = command_get(&s->command, "verp_delimiter_filter");
	if (!verp_delimiters_are_good(two, allowed))
		log_fatal(s->command.log, STATUS_FAILED,
			  "-V requires two characters from " PRI_STR, STR_ARG(allowed));
	return two;
}

static void
put_envelope(struct sendmail *s)
{
	const struct sendmail_options *o = &s->options;
	struct str name = full_name_of(s);
	struct str delimiters = verp_delimiters(s);
	unsigned long trace = o->probe          ? TRACE_VERIFY
			      : o->verbose == 1 ? TRACE_RECORD
						: 0;

	if (o->envelope_id != NULL)
		submit_attribute(&s->submit, "envelope_id", str_from(o->envelope_id));
	if (o->dsn_ret != 0)
		put_number(s, "ret_flags", (unsigned long)o->dsn_ret);
	submit_attribute(&s->submit, "rewrite_context",
			 o->remote ? STR("remote") : STR("local"));
	if (name.p != NULL)
		put(s, RECORD_LETTER_FULL_NAME, name);
	put(s, RECORD_LETTER_SENDER, s->sender);
	if (o->encoding != NULL)
		submit_attribute(&s->submit, "encoding", str_from(o->encoding));
	if (trace != 0)
		put_number(s, "trace_flags", trace);
	if (delimiters.len > 0)
		put(s, RECORD_LETTER_VERP, delimiters);
	put_arguments(s);
	put(s, RECORD_LETTER_MESSAGE, STR_EMPTY);
}

/* ---- recipients of the header (-t) ---- */

static void
remember(struct sendmail *s, struct str address)
{
	if (s->n_found == s->found_size) {
		size_t size = s->found_size * 2 + 8;
		struct str *bigger =
			arena_alloc_array(s->command.mem, size, sizeof(*bigger));

		if (s->n_found > 0)
			memcpy(bigger, s->found, s->n_found * sizeof(*bigger));
		s->found = bigger;
		s->found_size = size;
	}
	s->found[s->n_found++] = address;
}

static void
look_at_field(struct sendmail *s, const struct header_name *row, struct str text)
{
	struct address_list list;
	struct header_field f;
	bool resent;

	if (row == NULL || (row->flags & HEADER_EXTRACT) == 0 ||
	    !header_field_parse(text, &f))
		return;
	resent = (row->flags & HEADER_RESENT) != 0;
	if (resent && !s->resent) {
		s->resent = true;
		s->n_found = 0;
	}
	if (resent != s->resent)
		return;
	address_list_parse(s->command.mem, f.value, TOKEN_LIMIT, &list);
	for (size_t i = 0; i < list.count; i++)
		remember(s, list.internal[i]);
}

/* ---- the content ---- */

NORETURN static void
give_up(struct sendmail *s, const char *text)
{
	submit_cancel(&s->submit);
	log_fatal(s->command.log, STATUS_FAILED, "%s: %s", s->who, text);
}

/* -bv: a message without a text, for those who look at it on the way. */
static void
put_probe(struct sendmail *s)
{
	if (s->sender.len > 0)
		put(s, RECORD_LETTER_LINE,
		    str_printf(s->command.mem, "From: " PRI_STR,
			       STR_ARG(address_quote_header(s->command.mem, s->sender))));
	put(s, RECORD_LETTER_LINE, STR("Subject: probe"));
	put(s, RECORD_LETTER_PART, STR("To:"));
	for (char **arg = s->options.recipients; *arg != NULL; arg++)
		put(s, RECORD_LETTER_LINE,
		    str_printf(s->command.mem, "\t%s%s", *arg,
			       arg[1] == NULL ? "" : ","));
}

/* ---- the content with -t, taken apart ---- */

static void
on_header(void *arg, enum mime_header_class which, const struct header_name *row,
	  struct str text)
{
	struct sendmail *s = arg;
	size_t n = header_name_length(text);
	struct str line;

	(void)which;
	/* A NUL is the end of a field for many who will read it: make it so for all. */
	text = str_head(text, str_index(text, '\0'));
	if (text.len <= n)
		return;
	look_at_field(s, row, text);
	/* Blanks between name and colon confuse others. */
	text = str_concat(s->command.mem, str_trim(str_head(text, n)),
			  str_skip(text, str_index(text, ':')));
	while (str_line(&text, &line))
		submit_text(&s->submit, line, s->line_limit, true);
}

static void
on_header_end(void *arg)
{
	(void)arg;
}

static void
on_body(void *arg, struct str text, bool whole)
{
	struct sendmail *s = arg;

	submit_text(&s->submit, text, s->line_limit, whole);
}

static struct mime *
header_reader(struct sendmail *s)
{
	const struct mime_limits limits = {
		.header_bytes = (size_t)command_get_int(&s->command, "header_size_limit"),
		.nesting = 1,
		.boundary_bytes = 1};
	const struct mime_events events = {
		.header = on_header, .header_end = on_header_end, .body = on_body};

	return mime_new(s->command.mem, MIME_OFF, &limits, &events, s);
}

static void
check_header(struct sendmail *s, unsigned problems)
{
	const struct mime_problem *p =
		mime_problem_find(problems & MIME_PROBLEM_TRUNCATED_HEADER);

	if (p != NULL)
		give_up(s, str_printf(s->command.mem, "unable to extract recipients: %s",
				      p->text)
				   .p);
}

static void
copy_content(struct sendmail *s)
{
	struct mime *m = s->options.headers ? header_reader(s) : NULL;
	struct str text;
	struct err err;

	for (;;) {
		enum input_result got = input_next(&s->input, &text, &err);

		if (got == INPUT_FAILED)
			give_up(s, err.text);
		if (got == INPUT_END)
			break;
		if (m != NULL)
			check_header(s, mime_line(m, text, got == INPUT_LINE));
		else
			submit_text(&s->submit, text, s->line_limit, got == INPUT_LINE);
	}
	if (m != NULL)
		check_header(s, mime_end(m));
}

static void
put_found(struct sendmail *s)
{
	put(s, RECORD_LETTER_EXTRACTED, STR_EMPTY);
	for (size_t i = 0; i < s->n_found; i++)
		put_recipient(s, s->found[i]);
	if (s->options.headers && s->n_found == 0 && s->options.recipients[0] == NULL)
		give_up(s, "No recipient addresses found in message header");
	put(s, RECORD_LETTER_END, STR_EMPTY);
}

/* ---- submission ---- */

static enum line_endings
line_endings(struct command *c)
{
	struct str how = command_get(c, "sendmail_fix_line_endings");

	if (str_ieq(how, STR("strict")))
		return LINE_ENDINGS_STRICT;
	if (str_ieq(how, STR("never")))
		return LINE_ENDINGS_NEVER;
	if (!str_ieq(how, STR("always")))
		log_fatal(c->log, STATUS_FAILED,
			  "invalid sendmail_fix_line_endings value: " PRI_STR,
			  STR_ARG(how));
	return LINE_ENDINGS_ALWAYS;
}

static void
start(struct sendmail *s)
{
	struct command *c = &s->command;
	const char *path = str_printf(c->mem, PRI_STR "/postdrop",
				      STR_ARG(command_get(c, "command_directory")))
				   .p;
	const char *const argv[] = {path, "-r", NULL};
	struct err err;
	int status;

	if (!submit_start(c->mem, &s->submit, argv, &status, &err))
		log_fatal(c->log, STATUS_FAILED, "%s: %s", s->who, err.text);
}

static int
finish(struct sendmail *s)
{
	struct command *c = &s->command;
	struct str why = STR_EMPTY;

	switch (submit_finish(&s->submit, &why)) {
	case SUBMIT_DONE:
		break;
	case SUBMIT_REFUSED:
		log_fatal(c->log, STATUS_FAILED, "%s: " PRI_STR, s->who, STR_ARG(why));
	case SUBMIT_LOST:
		log_fatal(c->log, STATUS_FAILED, "%s: unexpected end of %s", s->who,
			  s->submit.command);
	}
	if (s->options.probe || s->options.verbose == 1)
		printf("Mail Delivery Status Report will be mailed to <" PRI_STR ">.\n",
		       STR_ARG(s->sender));
	return EX_OK;
}

static void
check_user(struct sendmail *s)
{
	struct command *c = &s->command;
	struct err err;

	switch (permit_user(c, "authorized_submit_users", getuid(), &err)) {
	case PERMIT_YES:
		break;
	case PERMIT_NO:
		log_fatal(c->log, STATUS_FAILED,
			  "User %s(%ld) is not allowed to submit mail",
			  command_user_or_unknown(c, getuid()), (long)getuid());
	case PERMIT_FAILED:
		log_fatal(c->log, STATUS_FAILED, "%s", err.text);
	}
}

static int
submit(struct sendmail *s)
{
	struct command *c = &s->command;
	struct str verp;
	enum line_endings endings;

	check_user(s);
	s->sender = sender_of(s);
	s->who =
		str_printf(c->mem, PRI_STR "(%ld)", STR_ARG(s->sender), (long)getuid()).p;
	verp = verp_delimiters(s);
	endings = line_endings(c);
	if (!s->options.headers && s->options.recipients[0] == NULL)
		log_fatal(c->log, STATUS_FAILED,
			  "%s: Recipient addresses must be specified on the command line "
			  "or via the -t option",
			  s->who);
	if (verp.len > 0 && s->sender.len == 0)
		log_fatal(c->log, STATUS_FAILED,
			  "%s: -V option requires non-null sender address", s->who);
	s->line_limit = (size_t)command_get_int(c, "line_length_limit");
	input_init(c->mem, &s->input, STDIN_FILENO, s->line_limit, endings,
		   !s->options.ignore_dot);
	start(s);
	put_envelope(s);
	if (s->options.probe)
		put_probe(s);
	else
		copy_content(s);
	put_found(s);
	return finish(s);
}

/* The names of modes in complaints. */
static const char *const mode_names[] = {
	[MODE_DAEMON] = "daemon mode",     [MODE_LIST] = "display queue mode",
	[MODE_FLUSH] = "flush queue mode", [MODE_FLUSH_ID] = "flush queue_id",
	[MODE_FLUSH_SITE] = "flush site",  [MODE_ALIASES] = "alias initialization mode",
	[MODE_SMTP] = "stand-alone mode",
};

static void
check_options(struct sendmail *s)
{
	const struct sendmail_options *o = &s->options;
	const char *with_probe = o->headers           ? "t"
				 : o->dsn_notify != 0 ? "N"
				 : o->dsn_ret != 0    ? "R"
				 : o->verbose == 1    ? "v"
						      : NULL;

	if (o->mode == MODE_SUBMIT && o->probe && with_probe != NULL)
		log_fatal(s->command.log, STATUS_FAILED,
			  "-%s option cannot be used with -bv", with_probe);
	if (o->mode != MODE_SUBMIT && o->headers)
		log_fatal(s->command.log, STATUS_FAILED,
			  "-t can be used only in delivery mode");
	if (o->mode != MODE_SUBMIT && o->mode != MODE_NOTHING && o->recipients[0] != NULL)
		log_fatal(s->command.log, STATUS_FAILED, "%s requires no recipient",
			  mode_names[o->mode]);
}

static int
run(struct sendmail *s)
{
	struct command *c = &s->command;

	if (s->options.quit)
		return EX_OK;
	check_options(s);
	switch (s->options.mode) {
	case MODE_SUBMIT:
		return submit(s);
	case MODE_DAEMON:
		return start_daemon(c);
	case MODE_LIST:
		run_instead(c, "postqueue", "-p", NULL);
	case MODE_FLUSH:
		run_instead(c, "postqueue", "-f", NULL);
	case MODE_FLUSH_ID:
		run_instead(c, "postqueue", "-i", s->options.flush_what);
	case MODE_FLUSH_SITE:
		run_instead(c, "postqueue", "-s", s->options.flush_what);
	case MODE_ALIASES:
		return rebuild_aliases(s);
	case MODE_SMTP:
		run_program(c, "daemon_directory",
			    (char *[]){(char[]){"smtpd"}, (char[]){"-S"}, NULL});
	case MODE_NOTHING:
		break;
	}
	return EX_OK;
}

/* For messages; whoever starts us chooses argv[0]. */
static const char *
known_name(const char *name)
{
	static const char *const names[] = {"mailq", "newaliases"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return names[i];
	}
	return "sendmail";
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct sendmail s = {0};
	const char *slash = strrchr(argv[0], '/');
	const char *dir;
	int status;

	if (slash != NULL)
		argv[0] = argv[0] + (slash + 1 - argv[0]);
	command_init(&s.command, mem, known_name(argv[0]));
	dir = sendmail_options_directory(mem, s.command.log, argc, argv);
	if (dir != NULL && setenv("MAIL_CONFIG", dir, 1) != 0)
		log_fatal(s.command.log, STATUS_FAILED, "setenv: %s", strerror(errno));
	command_load(&s.command, dir, LOG_LEVEL_INFO, STATUS_FAILED);
	sendmail_options_parse(s.command.log, argc, argv, &s.options);
	status = run(&s);
	log_free(&s.command.log);
	arena_free(&mem);
	return status;
}
