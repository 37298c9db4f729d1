/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command gets the message on its standard input; what it says and how it exits is the
 * result (sysexits). Words of the message reach it in its environment and arguments only,
 * never as text that a shell reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/sys.h"

#include "deliver/job_internal.h"

enum { OUTPUT_MAX = 4096, WORDS_MAX = 1000, SAID_MAX = 100 };

struct command {
	struct job *job;
	char **argv;
	char **env;
	const char *directory; /* NULL: as it is */
	struct str name;       /* for texts */
	pid_t pid;
	int input;
	int output;
	int64_t deadline_us;
	struct buf *said;
	bool timed_out;
	bool closed; /* it reads no more */
};

static char **
list_items(struct job *j, struct str list, size_t extra, size_t *n_out)
{
	size_t n = 0;
	char **items;

	for (size_t i = 0; i < list.len; i++)
		n += list.p[i] == '\0';
	items = arena_alloc_array(j->mem, n + extra + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		size_t len = str_index(list, '\0');

		items[i] = str_c(j->mem, str_head(list, len));
		list = str_skip(list, len + 1);
	}
	*n_out = n;
	return items;
}

static char *
filtered(struct job *j, const char *name, struct str value)
{
	size_t skip = strlen(name) + 1;
	char *text =
		str_c(j->mem, str_printf(j->mem, "%s=" PRI_STR, name, STR_ARG(value)));

	for (size_t i = skip; text[i] != '\0'; i++) {
		if (!str_contains(j->spec.command_filter, text[i]))
			text[i] = '_';
	}
	return text;
}

static char **
local_environment(struct job *j)
{
	size_t n;
	size_t n_context;
	char **context = list_items(j, j->spec.context, 0, &n_context);
	char **env = list_items(j, j->spec.environment, n_context + 20, &n);
	struct str home = j->spec.home.len > 0 ? j->spec.home : j->home;
	struct str shell = j->login_shell.len > 0 ? j->login_shell : STR("/bin/sh");

	if (home.len > 0 && (j->spec.flags & DELIVER_NO_ACCOUNT) == 0) {
		env[n++] =
			str_c(j->mem, str_printf(j->mem, "HOME=" PRI_STR, STR_ARG(home)));
		env[n++] = str_c(j->mem,
				 str_printf(j->mem, "SHELL=" PRI_STR, STR_ARG(shell)));
	}
	env[n++] = filtered(j, "USER", j->spec.user);
	env[n++] = filtered(j, "LOGNAME", j->spec.user);
	env[n++] = filtered(j, "LOCAL", j->spec.local);
	env[n++] = filtered(j, "RECIPIENT", j->spec.recipient);
	env[n++] = filtered(j, "SENDER", j->spec.sender);
	env[n++] = filtered(j, "ORIGINAL_RECIPIENT", j->spec.original);
	if (j->spec.domain.len > 0)
		env[n++] = filtered(j, "DOMAIN", j->spec.domain);
	if (j->spec.extension.len > 0)
		env[n++] = filtered(j, "EXTENSION", j->spec.extension);
	for (size_t i = 0; i < n_context; i++) {
		struct str name;
		struct str value;

		if (str_split(str_from(context[i]), '=', &name, &value))
			env[n++] = filtered(j, str_c(j->mem, name), value);
	}
	env[n] = NULL;
	return env;
}

/* ---- words or shell ---- */

static bool
needs_shell(struct str command)
{
	static const char plain[] = "1234567890!@%-_=+:,./\\abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ \t";
	static const char *const builtins[] = {"exit", "cd", "set",  "exec", "eval",
					       ".",    ":",  "test", "true", "false"};
	struct str rest = command;
	struct str word;

	for (size_t i = 0; i < command.len; i++) {
		if (strchr(plain, command.p[i]) == NULL)
			return true;
	}
	if (!str_token(&rest, " \t", &word))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
		if (str_eq(word, str_from(builtins[i])))
			return true;
	}
	return str_contains(word, '=');
}

static char **
split_words(struct job *j, struct str text, struct str last)
{
	char **argv = arena_alloc_array(j->mem, WORDS_MAX + 2, sizeof(char *));
	struct str word;
	size_t n = 0;

	while (n < WORDS_MAX && str_token(&text, " \t", &word))
		argv[n++] = str_c(j->mem, word);
	if (last.len > 0)
		argv[n] = str_c(j->mem, last);
	return argv;
}

static char **
command_words(struct job *j, struct str command)
{
	if (j->spec.shell.len > 0)
		return split_words(j, j->spec.shell, command);
	if (needs_shell(command))
		return split_words(j, STR("/bin/sh -c"), command);
	return split_words(j, command, STR_EMPTY);
}

/* ---- running ---- */

NORETURN static void
run(struct command *c, int input, int output)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (setsid() < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
	    dup2(output, 2) < 0)
		_exit(EX_OSERR);
	close_range(3, ~0U, 0);
	umask(077);
	if (c->directory != NULL && chdir(c->directory) != 0) {
		dprintf(2,
			"4.3.0 cannot change directory to \"%s\" for uid=%ld gid=%ld: %s",
			c->directory, (long)geteuid(), (long)getegid(), strerror(errno));
		_exit(EX_TEMPFAIL);
	}
	execvpe(c->argv[0], c->argv, c->env);
	dprintf(2, "4.3.0 execvp %s: %s", c->argv[0], strerror(errno));
	_exit(EX_TEMPFAIL);
}

static bool
start(struct command *c)
{
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		return false;
	c->pid = sys_fork();
	if (c->pid == 0)
		run(c, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	IGNORE(fcntl(in[1], F_SETFL, O_NONBLOCK) != 0);
	IGNORE(fcntl(out[0], F_SETFL, O_NONBLOCK) != 0);
	c->input = in[1];
	c->output = out[0];
	return c->pid > 0;
}

/* What is more than we tell is read and dropped. */
static bool
listen_to(struct command *c)
{
	char piece[4096];
	ssize_t n = sys_read(c->output, piece, sizeof(piece));

	if (n > 0)
		buf_add(c->said, str_head(str_from_mem(piece, (size_t)n),
					  OUTPUT_MAX - c->said->len));
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Wait for room or words; false when the time is over. */
static bool
wait_for(struct command *c, bool to_write)
{
	struct pollfd p[2] = {{c->output, POLLIN, 0}, {c->input, POLLOUT, 0}};
	int64_t left_ms = (c->deadline_us - sys_mono_us()) / 1000;

	if (left_ms <= 0 || poll(p, to_write ? 2 : 1, (int)MIN_OF(left_ms, 60000)) < 0) {
		c->timed_out = left_ms <= 0;
		return left_ms > 0;
	}
	if (p[0].revents != 0 && !listen_to(c))
		c->closed = true;
	return true;
}

static bool
give(void *arg, struct str piece)
{
	struct command *c = arg;

	while (piece.len > 0 && !c->timed_out) {
		ssize_t n = sys_write(c->input, piece.p, piece.len);

		if (n >= 0)
			piece = str_skip(piece, (size_t)n);
		else if (errno == EAGAIN || errno == EINTR)
			IGNORE(!wait_for(c, true));
		else
			return false; /* EPIPE: it need not read all, its exit status
					 counts */
	}
	return !c->timed_out;
}

/* It may have closed its output and go on. */
static int
wait_for_exit(struct command *c)
{
	int status = 0;
	pid_t got;

	while ((got = sys_waitpid(c->pid, &status, WNOHANG)) == 0 && !c->timed_out) {
		c->timed_out = sys_mono_us() > c->deadline_us;
		IGNORE(poll(NULL, 0, 5) < 0);
	}
	if (got == 0) {
		IGNORE(sys_kill(-c->pid, SIGKILL) != 0);
		IGNORE(sys_waitpid(c->pid, &status, 0) < 0);
	}
	return status;
}

static int
end_of(struct command *c)
{
	int status;

	close(c->input);
	c->closed = false;
	while (!c->timed_out && !c->closed)
		IGNORE(!wait_for(c, false));
	status = wait_for_exit(c);
	close(c->output);
	return status;
}

/* ---- the result ---- */

static const struct exit_text {
	int status;
	const char *dsn;
	const char *text;
} exit_texts[] = {
	{EX_USAGE, "5.3.0", "command line usage error"},
	{EX_DATAERR, "5.6.0", "data format error"},
	{EX_NOINPUT, "5.3.0", "cannot open input"},
	{EX_NOUSER, "5.1.1", "user unknown"},
	{EX_NOHOST, "5.1.2", "host name unknown"},
	{EX_UNAVAILABLE, "5.3.0", "service unavailable"},
	{EX_SOFTWARE, "5.3.0", "internal software error"},
	{EX_OSERR, "4.3.0", "system resource problem"},
	{EX_OSFILE, "5.3.0", "critical OS file missing"},
	{EX_CANTCREAT, "5.2.0", "can't create user output file"},
	{EX_IOERR, "5.3.0", "input/output error"},
	{EX_TEMPFAIL, "4.3.0", "temporary failure"},
	{EX_PROTOCOL, "5.5.0", "remote error in protocol"},
	{EX_NOPERM, "5.7.0", "permission denied"},
	{EX_CONFIG, "5.3.5", "local configuration error"},
};

static struct str
on_one_line(struct job *j, struct str text)
{
	char *p = str_c(j->mem, text);

	for (size_t i = 0; i < text.len; i++) {
		if (p[i] == '\n' || p[i] == '\r' || p[i] == '\0')
			p[i] = ' ';
	}
	return str_trim_left(str_from_mem(p, text.len));
}

static void
failed(struct job *j, const struct command *c, int status, struct str said)
{
	struct str quote = said.len > 0 ? str_printf(j->mem, ". Command output: " PRI_STR,
						     STR_ARG(said))
					: STR_EMPTY;
	struct dsn dsn;
	struct str rest;

	if (c->timed_out) {
		dsn = dsn_printf(j->mem, "5.3.0",
				 "Command time limit exceeded: \"" PRI_STR "\"" PRI_STR,
				 STR_ARG(c->name), STR_ARG(quote));
	} else if (WIFSIGNALED(status)) {
		dsn = dsn_printf(j->mem, "4.3.0",
				 "Command died with signal %d: \"" PRI_STR "\"" PRI_STR,
				 WTERMSIG(status), STR_ARG(c->name), STR_ARG(quote));
	} else if (dsn_status_length(said) > 0 &&
		   (said.p[0] == '4' || said.p[0] == '5')) {
		struct dsn_status code = dsn_status_split("5.3.0", said, &rest);

		/* With the blank that was a line end: as it is known from the log. */
		rest = str_trim_left(str_skip(said, dsn_status_length(said)));
		dsn = dsn_make(j->mem, code.text, rest);
	} else {
		dsn = dsn_printf(j->mem, "5.3.0",
				 "Command died with status %d: \"" PRI_STR "\"" PRI_STR,
				 WEXITSTATUS(status), STR_ARG(c->name), STR_ARG(quote));
		for (size_t i = 0; i < ARRAY_LEN(exit_texts); i++) {
			if (exit_texts[i].status == WEXITSTATUS(status))
				dsn = dsn_printf(j->mem, exit_texts[i].dsn, "%s" PRI_STR,
						 exit_texts[i].text, STR_ARG(quote));
		}
	}
	dsn.diag_type = STR("x-unix");
	dsn.diag_text = said.len > 0 ? said : dsn.reason;
	job_set_dsn(j, &dsn);
}

static bool
run_command(struct job *j, struct command *c, const struct copy_text *text)
{
	enum copy_result result;
	struct str said;
	struct err err;
	int status;

	c->job = j;
	c->said = buf_new(j->mem, OUTPUT_MAX);
	c->deadline_us = sys_mono_us() + j->spec.time_limit_s * 1000000;
	if (!start(c)) {
		job_dsn(j, "4.3.0", "cannot start a command: %s", strerror(errno));
		return false;
	}
	result = copy_message(text, give, c, &err);
	if (result == COPY_UNREADABLE)
		IGNORE(sys_kill(-c->pid, SIGKILL) != 0);
	status = end_of(c);
	if (result == COPY_UNREADABLE) {
		job_dsn(j, "4.3.0", "%s", err.text);
		return false;
	}
	said = on_one_line(j, buf_str(c->said));
	if (c->timed_out || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		failed(j, c, status, said);
		return false;
	}
	return true;
}

void
command_deliver(struct job *j, struct str command)
{
	struct copy_text text = job_text(j, COPY_FROM | COPY_RETURN_PATH | COPY_ORIGINAL |
						    COPY_DELIVERED);
	struct command c = {.name = command};
	struct str directory;

	if ((j->spec.flags & DELIVER_CHECK_ONLY) != 0) {
		job_dsn(j, "2.0.0", "delivers to command: " PRI_STR, STR_ARG(command));
		return;
	}
	if (j->spec.execution_directory.len > 0) {
		if (!job_expand(j, j->spec.execution_directory, j->spec.directory_filter,
				&directory)) {
			job_dsn(j, "4.3.5", "mail system configuration error");
			return;
		}
		if (directory.len > 0)
			c.directory = str_c(j->mem, directory);
	}
	c.argv = command_words(j, command);
	c.env = local_environment(j);
	if (run_command(j, &c, &text))
		job_dsn(j, "2.0.0", "delivered to command: " PRI_STR, STR_ARG(command));
}

/* The words of master.cf, in its directory. */
void
pipe_deliver(struct job *j)
{
	struct copy_text text = job_text(j, (unsigned)j->spec.copy_flags);
	struct command c = {.name = STR_EMPTY};
	struct str said;
	size_t n;

	text.eol = j->spec.eol;
	text.null_sender = j->spec.null_sender;
	c.argv = list_items(j, j->spec.argv, 0, &n);
	c.env = list_items(j, j->spec.environment, 0, &n);
	if (c.argv[0] == NULL) {
		job_dsn(j, "4.3.5", "mail system configuration error");
		return;
	}
	c.name = str_from(c.argv[0]);
	if (j->spec.execution_directory.len > 0)
		c.directory = str_c(j->mem, j->spec.execution_directory);
	if (!run_command(j, &c, &text))
		return;
	said = str_trim_right(on_one_line(j, buf_str(c.said)));
	if (said.len == 0)
		job_dsn(j, "2.0.0", "delivered via " PRI_STR " service",
			STR_ARG(j->spec.service));
	else
		job_dsn(j, "2.0.0", "delivered via " PRI_STR " service (" PRI_STR ")",
			STR_ARG(j->spec.service), STR_ARG(str_head(said, SAID_MAX)));
}
