/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postqueue: shows the queue as showq tells it (show.h), and asks for deliveries (ask.h).
 *
 * Installed set-gid, so that everybody may connect to the services in public/; who may do
 * what is up to authorized_mailq_users and authorized_flush_users. Exit status: 0, or 69
 * for whatever goes wrong, as Debian's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "command/command.h"
#include "command/permit.h"
#include "config/common_config.h"
#include "daemon/privilege.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "mail/address.h"
#include "queue/id.h"
#include "queue/list_wire.h"

#include "ask.h"
#include "show.h"

enum { REASON_MAX = 1 << 17, SHOWN_MAX = 100 };

enum mode { MODE_NONE, MODE_FLUSH, MODE_FLUSH_ID, MODE_FLUSH_SITE, MODE_LIST, MODE_JSON };

struct postqueue {
	struct command command;
	struct common_config common;
	struct ask ask;
	struct show show;
	enum mode mode;
	struct str what; /* id or site */
	const char *config_dir;
	bool trusted; /* root, or the owner of the queue */
	pid_t child;  /* showq that we started */
	bool output_failed;
	bool done;
};

/* Unlike a daemon, a person need not wait a second for the prompt. */
NORETURN static void fatal(struct postqueue *p, const char *format, ...)
	PRINTF_LIKE(2, 3);

NORETURN static void
fatal(struct postqueue *p, const char *format, ...)
{
	struct err text;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text.text, sizeof(text.text), format, ap);
	va_end(ap);
	fflush(stdout);
	log_write(p->command.log, LOG_LEVEL_FATAL, "%s", text.text);
	exit(EX_UNAVAILABLE);
}

/* ---- the command line ---- */

NORETURN static void
usage(struct postqueue *p)
{
	fatal(p, "usage: postqueue [-c config_dir] -f | -i queue_id | -j | -p | -s site");
}

static enum mode
mode_of(int option)
{
	return option == 'f'   ? MODE_FLUSH
	       : option == 'i' ? MODE_FLUSH_ID
	       : option == 's' ? MODE_FLUSH_SITE
	       : option == 'j' ? MODE_JSON
	       : option == 'p' ? MODE_LIST
			       : MODE_NONE;
}

static void
take_options(struct postqueue *p, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:fi:jps:v")) > 0) {
		enum mode mode = mode_of(c);

		if (c == 'c') {
			p->config_dir = optarg;
		} else if (c == 'v') {
			/* What is logged then is not for everybody. */
			if (geteuid() == 0)
				log_set_level(p->command.log, LOG_LEVEL_DEBUG);
		} else if (mode == MODE_NONE || p->mode != MODE_NONE) {
			usage(p);
		} else {
			p->mode = mode;
			if (optarg != NULL)
				p->what = str_from(optarg);
		}
	}
	if (p->mode == MODE_NONE || optind < argc)
		usage(p);
}

static bool
is_site(struct postqueue *p, struct str site)
{
	struct str address;
	struct err err;

	/* An IPv6 address has its tag, as in mail addresses. */
	if (site.len > 0 && site.p[0] == '[')
		return literal_parse(site, &address) &&
		       (!str_contains(address, ':') || str_istarts(site, STR("[IPv6:")));
	return hostname_check(site, p->common.smtputf8_enable, &err);
}

static const char *
dots(struct str s)
{
	return s.len > SHOWN_MAX ? "..." : "";
}

static void
check_what(struct postqueue *p)
{
	struct str shown =
		str_printable(p->command.mem, str_head(p->what, SHOWN_MAX), true);

	if (p->mode == MODE_FLUSH_SITE && !is_site(p, p->what))
		fatal(p,
		      "Cannot flush mail queue - invalid destination: \"" PRI_STR "%s\"",
		      STR_ARG(shown), dots(p->what));
	if (p->mode == MODE_FLUSH_ID && !queue_id_is_valid(p->what))
		fatal(p, "Cannot flush queue ID - invalid name: \"" PRI_STR "%s\"",
		      STR_ARG(shown), dots(p->what));
}

/* ---- who, and where ---- */

/* Descriptors that a caller left open are none of ours, and we have its trust. */
static void
close_inherited(const struct postqueue *p)
{
	if (p->command.privileged)
		IGNORE(close_range(STDERR_FILENO + 1, ~0u, 0) != 0);
}

static bool
is_trusted(struct postqueue *p)
{
	struct err err;
	uid_t owner;
	gid_t group;

	return getuid() == 0 ||
	       (privilege_find_user(str_c(p->command.mem, p->common.mail_owner), &owner,
				    &group, &err) &&
		owner == getuid());
}

static void
check_user(struct postqueue *p)
{
	bool listing = p->mode == MODE_LIST || p->mode == MODE_JSON;
	struct err err;

	if (p->trusted)
		return;
	switch (permit_user(&p->command,
			    listing ? "authorized_mailq_users" : "authorized_flush_users",
			    getuid(), &err)) {
	case PERMIT_YES:
		return;
	case PERMIT_NO:
		fatal(p, "User %s(%ld) is not allowed to %s the mail queue",
		      command_user_or_unknown(&p->command, getuid()), (long)getuid(),
		      listing ? "view" : "flush");
	case PERMIT_FAILED:
		fatal(p, "%s", err.text);
	}
}

static void
prepare(struct postqueue *p)
{
	struct command *c = &p->command;
	struct str queue;
	struct err err;

	command_load(c, p->config_dir, LOG_LEVEL_INFO, EX_UNAVAILABLE);
	if (!common_config_load(c->mem, c->config, &p->common, &err))
		fatal(p, "%s", err.text);
	queue = p->common.queue_directory;
	if (chdir(str_c(c->mem, queue)) < 0)
		fatal(p, "chdir " PRI_STR ": %s", STR_ARG(queue), strerror(errno));
	p->trusted = is_trusted(p);
	p->ask.timeout_ms = p->common.ipc_timeout * 1000;
	p->show.json = p->mode == MODE_JSON;
	p->show.long_ids = p->common.enable_long_queue_ids;
	p->show.utf8 = p->common.smtputf8_enable;
	p->show.reason = buf_new(c->mem, REASON_MAX);
}

/* ---- the list ---- */

/* The same program, without its master: it talks to the socket at its descriptor 0. */
static struct stream *
start_showq(struct postqueue *p)
{
	struct command *c = &p->command;
	const char *path =
		str_printf(c->mem, PRI_STR "/showq", STR_ARG(p->common.daemon_directory))
			.p;
	static const char *const words[] = {"showq", "-S", "-u", "-n", "showq"};
	char *argv[ARRAY_LEN(words) + 1] = {NULL};
	int ends[2];

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		argv[i] = arena_strdup(c->mem, words[i]);
	if (p->config_dir != NULL && setenv("MAIL_CONFIG", p->config_dir, 1) != 0)
		fatal(p, "setenv: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		fatal(p, "socketpair: %s", strerror(errno));
	fflush(stdout);
	p->child = sys_fork();
	if (p->child < 0)
		fatal(p, "fork: %s", strerror(errno));
	if (p->child == 0) {
		if (dup2(ends[1], STDIN_FILENO) == STDIN_FILENO)
			execv(path, argv);
		log_write(c->log, LOG_LEVEL_FATAL, "execute %s: %s", path,
			  strerror(errno));
		_exit(EX_UNAVAILABLE);
	}
	sys_close(ends[1]);
	return stream_from_fd(p->ask.loop, ends[0]);
}

static struct stream *
connect_showq(struct postqueue *p)
{
	struct str service = p->common.showq_service_name;
	struct stream *in;
	struct str why;
	struct err err;

	if (ask_connect(&p->ask, service, &in, &err))
		return in;
	why = str_printf(p->command.mem,
			 "Connect to the " PRI_STR " " PRI_STR " service: %s",
			 STR_ARG(p->common.mail_name), STR_ARG(service),
			 err.errnum != 0 ? strerror(err.errnum) : err.text);
	if (!p->trusted)
		fatal(p, "Queue report unavailable - mail system is down (" PRI_STR ")",
		      STR_ARG(why));
	log_warning(p->command.log,
		    "Mail system is down -- accessing queue directly (" PRI_STR ")",
		    STR_ARG(why));
	return start_showq(p);
}

static void
list(struct postqueue *p)
{
	const struct queue_list_sink sink = show_sink(&p->show);
	struct stream *in = connect_showq(p);
	bool stopped = false;
	struct err err;
	int status;

	stream_set_timeout_ms(in, p->ask.timeout_ms);
	if (!list_wire_read(in, &sink, &stopped, &err))
		fatal(p, "malformed showq server response");
	stream_close(&in);
	if (p->child > 0)
		IGNORE(sys_waitpid(p->child, &status, 0) < 0);
	if (!stopped)
		show_end(&p->show);
	if (stopped || fflush(stdout) != 0 || ferror(stdout))
		p->output_failed = true;
}

/* ---- deliveries ---- */

NORETURN static void
system_is_down(struct postqueue *p)
{
	fatal(p, "Cannot flush mail queue - mail system is down");
}

static void
trigger(struct postqueue *p, struct str service, struct str bytes)
{
	struct err err;

	if (ask_trigger(&p->ask, service, bytes, &err) == ASK_DONE)
		return;
	if (err.errnum == ENOENT)
		log_warning(p->command.log, "unable to look up public/" PRI_STR ": %s",
			    STR_ARG(service), strerror(err.errnum));
	system_is_down(p);
}

/* Everything: what rests, what is not due, what came and was not announced. */
static void
flush_all(struct postqueue *p)
{
	trigger(p, command_get(&p->command, "queue_service_name"), STR("FADI"));
	trigger(p, command_get(&p->command, "pickup_service_name"), STR_EMPTY);
}

static void
flush_some(struct postqueue *p)
{
	struct str service = command_get(&p->command, "flush_service_name");
	struct err err = {.errnum = 0};
	enum ask_result result =
		p->mode == MODE_FLUSH_ID
			? ask_flush_file(&p->ask, service, p->what, &err)
			: ask_flush_site(&p->ask, service, p->what, &err);

	switch (result) {
	case ASK_DONE:
		return;
	case ASK_DOWN:
		log_warning(p->command.log, "connect to public/" PRI_STR ": %s",
			    STR_ARG(service),
			    err.errnum != 0 ? strerror(err.errnum) : err.text);
		system_is_down(p);
	case ASK_UNKNOWN:
		fatal(p,
		      "Flush service is not configured for destination \"" PRI_STR "\"",
		      STR_ARG(p->what));
	case ASK_REFUSED:
		fatal(p, "Unexpected answer of the flush service");
	}
}

static void
work(void *arg)
{
	struct postqueue *p = arg;

	if (p->mode == MODE_LIST || p->mode == MODE_JSON)
		list(p);
	else if (p->mode == MODE_FLUSH)
		flush_all(p);
	else
		flush_some(p);
	p->done = true;
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct postqueue p = {.what = STR_INIT(""), .show = {.out = stdout}};

	argv[0] = (char[]){"postqueue"}; /* in the messages of getopt() */
	command_init(&p.command, mem, "postqueue");
	close_inherited(&p);
	take_options(&p, argc, argv);
	prepare(&p);
	check_what(&p);
	check_user(&p);
	p.ask.trigger_ms = command_get_time(&p.command, "trigger_timeout") * 1000;
	p.ask.loop = loop_new();
	if (fiber_spawn(p.ask.loop, "work", work, &p) == NULL)
		fatal(&p, "cannot start");
	loop_run(p.ask.loop);
	loop_free(&p.ask.loop);
	if (!p.done)
		fatal(&p, "the work was not finished");
	if (p.output_failed)
		fatal(&p, "output write error: %s", strerror(errno));
	log_free(&p.command.log);
	arena_free(&mem);
	return 0;
}
