/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail, mailq, newaliases: the command that every program knows. A message goes to
 * postdrop as records; everything else is another command's work, which is started
 * instead.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"

#include "command/command.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"
#include "queue/record.h"

#include "input.h"
#include "options.h"
#include "submit.h"

/* Values of the trace_flags attribute: -bv, -v. */
enum { TRACE_VERIFY = 512, TRACE_RECORD = 1024, TOKEN_LIMIT = 10240 };

struct sendmail {
	struct command command;
	struct sendmail_options options;
	const char *login;
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
run_instead(struct command *c, const char *program, const char *option, const char *value)
{
	const char *path =
		str_printf(c->mem, PRI_STR "/%s",
			   STR_ARG(command_get(c, "command_directory")), program)
			.p;
	char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)option,
			(char *)(uintptr_t)value, NULL};

	execv(path, argv);
	log_fatal(c->log, EX_UNAVAILABLE, "execute %s: %s", path, strerror(errno));
}

NORETURN static void
rebuild_aliases(struct command *c)
{
	struct str maps = command_get(c, "alias_database");

	if (maps.len == 0)
		exit(EX_OK);
	log_fatal(c->log, EX_UNAVAILABLE,
		  "alias_database = " PRI_STR ": alias tables cannot be built yet",
		  STR_ARG(maps));
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

/* Each argument may hold several addresses. */
static void
put_arguments(struct sendmail *s)
{
	for (char **arg = s->options.recipients; *arg != NULL; arg++) {
		struct address_list list;

		address_list_parse(s->command.mem, str_from(*arg), TOKEN_LIMIT, &list);
		for (size_t i = 0; i < list.count; i++)
			put_recipient(s, list.internal[i]);
	}
}

static struct str
sender_of(struct sendmail *s)
{
	if (s->options.sender == NULL)
		return str_from(s->login);
	return address_parse(s->command.mem, str_from(s->options.sender));
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

static struct str
full_name_of(struct sendmail *s)
{
	const char *name = s->options.full_name;
	const struct passwd *pw;

	if (name == NULL)
		name = getenv("NAME");
	if (name != NULL)
		return str_from(name);
	pw = getpwuid(getuid());
	return pw == NULL ? STR_EMPTY : gecos_name(s->command.mem, pw);
}

static void
put_verp(struct sendmail *s)
{
	struct str delimiters =
		s->options.verp_delimiters != NULL
			? str_from(s->options.verp_delimiters)
			: command_get(&s->command, "default_verp_delimiters");
	struct str allowed = command_get(&s->command, "verp_delimiter_filter");

	if (delimiters.len != 2 || !str_contains(allowed, delimiters.p[0]) ||
	    !str_contains(allowed, delimiters.p[1]))
		log_fatal(s->command.log, EX_USAGE,
			  "-V requires two characters from " PRI_STR, STR_ARG(allowed));
	put(s, RECORD_LETTER_VERP, delimiters);
}

static void
put_envelope(struct sendmail *s)
{
	const struct sendmail_options *o = &s->options;
	struct str sender = sender_of(s);
	struct str name = full_name_of(s);
	unsigned long trace = o->probe          ? TRACE_VERIFY
			      : o->verbose == 1 ? TRACE_RECORD
						: 0;

	if (o->verp && sender.len == 0)
		log_fatal(s->command.log, EX_USAGE,
			  "-V option requires non-null sender address");
	if (o->remote)
		submit_attribute(&s->submit, "rewrite_context", STR("remote"));
	if (o->encoding != NULL)
		submit_attribute(&s->submit, "encoding", str_from(o->encoding));
	if (trace != 0)
		put_number(s, "trace_flags", trace);
	if (o->envelope_id != NULL)
		submit_attribute(&s->submit, "envelope_id", str_from(o->envelope_id));
	if (o->dsn_ret != 0)
		put_number(s, "ret_flags", (unsigned long)o->dsn_ret);
	if (o->verp)
		put_verp(s);
	if (name.len > 0)
		put(s, RECORD_LETTER_FULL_NAME, name);
	put(s, RECORD_LETTER_SENDER, sender);
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
look_at_field(struct sendmail *s, struct str text)
{
	struct address_list list;
	struct header_field f;
	bool resent;

	if (text.len == 0 || !header_field_parse(text, &f) || f.row == NULL ||
	    (f.row->flags & HEADER_EXTRACT) == 0)
		return;
	resent = (f.row->flags & HEADER_RESENT) != 0;
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
give_up(struct sendmail *s, int status, const char *text)
{
	submit_cancel(&s->submit);
	log_fatal(s->command.log, status, "%s", text);
}

static void
copy_content(struct sendmail *s)
{
	struct header_splitter split;
	bool in_header = s->options.headers;
	bool new_line = true;
	struct str text;
	struct str field;
	struct err err;

	header_splitter_init(s->command.mem, &split,
			     (size_t)command_get_int(&s->command, "header_size_limit"));
	for (;;) {
		enum input_result got = input_next(&s->input, &text, &err);

		if (got == INPUT_FAILED)
			give_up(s, EX_DATAERR, err.text);
		if (got == INPUT_END)
			break;
		if (in_header && new_line) {
			enum header_event event =
				header_splitter_line(&split, text, &field);

			look_at_field(s, field);
			in_header = event == HEADER_MORE || event == HEADER_FIELD;
		}
		new_line = got == INPUT_LINE;
		submit_text(&s->submit, text, s->line_limit, new_line);
	}
	if (in_header && header_splitter_end(&split, &field))
		look_at_field(s, field);
}

static void
put_found(struct sendmail *s)
{
	put(s, RECORD_LETTER_EXTRACTED, STR_EMPTY);
	for (size_t i = 0; i < s->n_found; i++)
		put_recipient(s, s->found[i]);
	if (s->options.headers && s->n_found == 0 && s->options.recipients[0] == NULL)
		give_up(s, EX_USAGE, "No recipient addresses found in message header");
	put(s, RECORD_LETTER_END, STR_EMPTY);
}

/* -bv: there is no message; this stands for it. */
static void
put_probe(struct sendmail *s)
{
	const char *lead = "To:\t";
	struct arena *mem = s->command.mem;
	struct str sender = address_quote_header(mem, sender_of(s));

	submit_text(&s->submit, str_printf(mem, "From: " PRI_STR, STR_ARG(sender)),
		    s->line_limit, true);
	submit_text(&s->submit, STR("Subject: probe"), s->line_limit, true);
	for (char **arg = s->options.recipients; *arg != NULL; arg++) {
		struct str line =
			str_printf(mem, "%s%s%s", lead, *arg, arg[1] != NULL ? "," : "");

		submit_text(&s->submit, line, s->line_limit, true);
		lead = "\t";
	}
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
		log_fatal(c->log, EX_CONFIG,
			  "bad sendmail_fix_line_endings value: " PRI_STR, STR_ARG(how));
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
		log_fatal(c->log, status > 0 ? status : EX_UNAVAILABLE, "%s(%ld): %s",
			  s->login, (long)getuid(), err.text);
}

static int
finish(struct sendmail *s)
{
	struct command *c = &s->command;
	struct str why = STR_EMPTY;

	switch (submit_finish(&s->submit, &why)) {
	case SUBMIT_DONE:
		return EX_OK;
	case SUBMIT_REFUSED:
		log_fatal(c->log,
			  str_eq(why, STR("queue file write error")) ? EX_TEMPFAIL
								     : EX_UNAVAILABLE,
			  "%s(%ld): " PRI_STR, s->login, (long)getuid(), STR_ARG(why));
	case SUBMIT_LOST:
		break;
	}
	log_fatal(c->log, EX_UNAVAILABLE, "%s(%ld): unexpected end of %s", s->login,
		  (long)getuid(), s->submit.command);
}

static int
submit(struct sendmail *s)
{
	struct command *c = &s->command;
	int status;

	if (!s->options.headers && s->options.recipients[0] == NULL)
		log_fatal(c->log, EX_USAGE,
			  "Recipient addresses must be specified on the command line or "
			  "via the "
			  "-t option");
	s->login = command_user(c, getuid());
	if (s->login == NULL)
		log_fatal(c->log, EX_OSERR, "unable to find my login name for uid %ld",
			  (long)getuid());
	s->line_limit = (size_t)command_get_int(c, "line_length_limit");
	input_init(c->mem, &s->input, STDIN_FILENO, s->line_limit, line_endings(c),
		   !s->options.ignore_dot);
	start(s);
	put_envelope(s);
	if (s->options.probe)
		put_probe(s);
	else
		copy_content(s);
	put_found(s);
	status = finish(s);
	if (s->options.probe || s->options.verbose == 1)
		printf("Mail Delivery Status Report will be mailed to <" PRI_STR ">.\n",
		       STR_ARG(sender_of(s)));
	return status;
}

static int
run(struct sendmail *s)
{
	struct command *c = &s->command;

	if (s->options.quit)
		return EX_OK;
	switch (s->options.mode) {
	case MODE_SUBMIT:
		return submit(s);
	case MODE_DAEMON:
		run_instead(c, "postfix", "start", NULL);
	case MODE_LIST:
		run_instead(c, "postqueue", "-p", NULL);
	case MODE_FLUSH:
		run_instead(c, "postqueue", "-f", NULL);
	case MODE_FLUSH_ID:
		run_instead(c, "postqueue", "-i", s->options.flush_what);
	case MODE_FLUSH_SITE:
		run_instead(c, "postqueue", "-s", s->options.flush_what);
	case MODE_ALIASES:
		rebuild_aliases(c);
	case MODE_SMTP:
		log_fatal(c->log, EX_UNAVAILABLE, "-bs: there is no SMTP server yet");
	case MODE_NOTHING:
		break;
	}
	return EX_OK;
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
	command_init(&s.command, mem, "sendmail");
	dir = sendmail_options_directory(mem, s.command.log, argc, argv);
	if (dir != NULL && setenv("MAIL_CONFIG", dir, 1) != 0)
		log_fatal(s.command.log, EX_OSERR, "setenv: %s", strerror(errno));
	command_load(&s.command, dir, LOG_LEVEL_INFO, EX_UNAVAILABLE);
	sendmail_options_parse(s.command.log, argc, argv, &s.options);
	status = run(&s);
	log_free(&s.command.log);
	arena_free(&mem);
	return status;
}
