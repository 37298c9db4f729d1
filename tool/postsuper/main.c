/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postsuper: the administrator's hand in the queue. Repairs first (walk.h), then what was
 * asked for single messages in the order of the command line (act.h), then for ALL.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "command/command.h"
#include "daemon/privilege.h"
#include "queue/id.h"
#include "queue/journal.h"

#include "act.h"
#include "walk.h"

enum { LINE_MAX_BYTES = 4096 };

static const char options[] = "+c:d:e:f:h:H:pr:sSv";

/* -d and its like: one id, or - for standard input. */
struct request {
	char option;
	const char *what;
};

struct postsuper {
	struct command command;
	struct queue_dirs dirs;
	struct walk walk;
	struct request *requests; /* in the order of the command line */
	size_t n_requests;
	const char *config_dir;
	bool verbose;
	bool repairing; /* to be said when we end early */
	uint32_t asked; /* acts that get a total */
};

static const struct {
	char option;
	enum act acts[2];
	size_t n;
} option_acts[] = {
	{'r', {ACT_REQUEUE}, 1}, {'d', {ACT_DELETE}, 1},
	{'e', {ACT_EXPIRE}, 1},  {'f', {ACT_EXPIRE, ACT_RELEASE}, 2},
	{'h', {ACT_HOLD}, 1},    {'H', {ACT_RELEASE}, 1},
};

NORETURN static void give_up(struct postsuper *p, const char *format, ...)
	PRINTF_LIKE(2, 3);

NORETURN static void
give_up(struct postsuper *p, const char *format, ...)
{
	struct err text;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text.text, sizeof(text.text), format, ap);
	va_end(ap);
	if (!p->repairing)
		log_fatal(p->command.log, 1, "%s", text.text);
	/* The last word is what to do now. */
	log_write(p->command.log, LOG_LEVEL_FATAL, "%s", text.text);
	log_warning(p->command.log,
		    "OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
	exit(1);
}

/* ---- the command line ---- */

NORETURN static void
usage(struct postsuper *p)
{
	log_fatal(p->command.log, 1,
		  "usage: postsuper [-psSv] [-c config_dir] [-d | -e | -f | -h | -H | -r "
		  "queue_id | - | ALL]... [queue...]");
}

static size_t
acts_of(char option)
{
	size_t i = 0;

	while (option_acts[i].option != option)
		i++;
	return i;
}

static void
take_request(struct postsuper *p, char option, const char *what)
{
	size_t row = acts_of(option);

	for (size_t i = 0; i < option_acts[row].n; i++) {
		uint32_t bit = 1u << option_acts[row].acts[i];

		p->asked |= bit;
		if (strcmp(what, "ALL") == 0)
			p->walk.acts |= bit;
	}
	if (strcmp(what, "ALL") != 0)
		p->requests[p->n_requests++] =
			(struct request){.option = option, .what = what};
}

static void
take_queue(struct postsuper *p, const char *name)
{
	enum queue_name q = queue_name_find(str_from(name));

	for (size_t i = 0; walk_order[i] != QUEUE_NAMES; i++) {
		if (walk_order[i] == q) {
			p->walk.scope.queues |= 1u << q;
			return;
		}
	}
	give_up(p, "invalid directory name: %s", name);
}

static void
take_options(struct postsuper *p, int argc, char **argv)
{
	int c;

	p->requests =
		arena_alloc_array(p->command.mem, (size_t)argc + 1, sizeof(*p->requests));
	while ((c = getopt(argc, argv, options)) > 0) {
		if (c == '?')
			usage(p);
		else if (c == 'c' && optarg[0] != '/')
			log_fatal(p->command.log, 1, "-c requires absolute pathname");
		else if (c == 'c')
			p->config_dir = optarg;
		else if (c == 'v')
			p->verbose = true;
		else if (c == 'p')
			p->walk.tasks |= WALK_PURGE;
		else if (c == 's')
			p->walk.tasks |= WALK_STRUCTURE;
		else if (c == 'S')
			p->walk.tasks |= WALK_STRUCTURE | WALK_MATCH_LONG;
		else
			take_request(p, (char)c, optarg);
	}
	if (p->walk.tasks == 0 && p->asked == 0)
		p->walk.tasks = WALK_PURGE | WALK_STRUCTURE;
}

/* After main.cf was read, as Postfix does; before anything is changed. */
static void
take_queues(struct postsuper *p, char **names)
{
	p->repairing = (p->walk.tasks & WALK_STRUCTURE) != 0;
	for (size_t i = 0; names[0] == NULL && walk_order[i] != QUEUE_NAMES; i++)
		p->walk.scope.queues |= 1u << walk_order[i];
	while (*names != NULL)
		take_queue(p, *names++);
}

/* ---- who, and where ---- */

static void
become_owner(struct postsuper *p)
{
	struct command *c = &p->command;
	struct str owner = command_get(c, "mail_owner");
	struct err err;
	uid_t uid;
	gid_t gid;

	if (geteuid() == 0) {
		if (!privilege_drop(str_c(c->mem, owner), &err))
			log_fatal(c->log, 1, "%s", err.text);
		return;
	}
	if (!privilege_find_user(str_c(c->mem, owner), &uid, &gid, &err) ||
	    uid != geteuid())
		log_fatal(c->log, 1, "use of this command is reserved for the superuser");
}

static void
enter_queue(struct postsuper *p)
{
	struct command *c = &p->command;
	struct str queue = command_get(c, "queue_directory");
	struct err err;
	int root;

	if (chdir(str_c(c->mem, queue)) < 0)
		log_fatal(c->log, 1, "chdir " PRI_STR ": %s", STR_ARG(queue),
			  strerror(errno));
	become_owner(p);
	root = sys_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (root < 0)
		log_fatal(c->log, 1, "open " PRI_STR ": %s", STR_ARG(queue),
			  strerror(errno));
	if (!queue_dirs_init(&p->dirs, root, command_get(c, "hash_queue_names"),
			     command_get_int(c, "hash_queue_depth"),
			     command_get_bool(c, "enable_long_queue_ids"), &err))
		log_fatal(c->log, 1, "%s", err.text);
	if ((p->dirs.hashed & (1u << QUEUE_MAILDROP)) != 0)
		log_fatal(c->log, 1, "maildrop queue must not be hashed");
	p->walk.scope.dirs = &p->dirs;
	p->walk.scope.log = c->log;
}

/* A walk ends between two files; see walk.h. */
static void
hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void
release_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- the journal ---- */

/* What a crash left must be in the queue before we look into it. */
static void
replay_journal(struct postsuper *p)
{
	struct journal_replayed told;
	struct err err;

	if (!journal_replay(&p->dirs, NULL, &told, &err))
		log_fatal(p->command.log, 1, "%s", err.text);
	if (told.files > 0)
		log_info(p->command.log,
			 "journal: %d files of an earlier run, %d messages, %d restored",
			 told.files, told.messages, told.restored);
	if (told.damaged > 0)
		log_error(p->command.log, "journal: %d damaged places", told.damaged);
}

/* No replay shall bring back what we took away. */
static void
mark_journal(struct postsuper *p)
{
	struct err err;

	if (!journal_mark(p->dirs.root, NULL, &err))
		log_warning(p->command.log, "%s", err.text);
}

/* ---- the work ---- */

static void
walk(struct postsuper *p, struct walk *w)
{
	struct err err;

	if (!walk_run(w, &err))
		give_up(p, "%s", err.text);
}

static void
repair(struct postsuper *p)
{
	struct walk w = p->walk;

	if (w.tasks == 0)
		return;
	w.acts = 0;
	walk(p, &w);
	if (w.marked > 0) {
		w.tasks = WALK_STRIP | (w.tasks & ~(unsigned)WALK_PURGE);
		walk(p, &w);
	}
	p->walk.renamed = w.renamed;
	if (w.renamed > 0 && p->asked != 0) {
		log_error(p->command.log,
			  "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
		give_up(p, "CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND");
	}
	p->repairing = false;
}

static void
act_on_one(struct postsuper *p, char option, struct str id)
{
	size_t row = acts_of(option);

	if (!queue_id_is_valid(id)) {
		log_warning(p->command.log, "invalid mail queue id: " PRI_STR,
			    STR_ARG(id));
		return;
	}
	for (size_t i = 0; i < option_acts[row].n; i++) {
		enum act a = option_acts[row].acts[i];
		struct err err;
		bool done;

		if (!act_on_id(&p->walk.scope, a, id, &done, &err))
			give_up(p, "%s", err.text);
		p->walk.done[a] += done;
	}
}

static void
act_on_input(struct postsuper *p, char option)
{
	char *line = arena_alloc(p->command.mem, LINE_MAX_BYTES);

	while (fgets(line, LINE_MAX_BYTES, stdin) != NULL) {
		struct str id = str_from(line);
		int c = 0;

		if (str_ends(id, STR("\n")))
			id.len--;
		else /* too long for an id, and so is its end */
			while (c != '\n' && c != EOF)
				c = getc(stdin);
		act_on_one(p, option, id);
	}
	if (ferror(stdin))
		give_up(p, "read standard input: %s", strerror(errno));
}

static void
act_on_all(struct postsuper *p)
{
	if (p->walk.acts == 0)
		return;
	p->walk.tasks = 0;
	walk(p, &p->walk);
}

static void
tell_count(struct postsuper *p, const char *what, size_t n)
{
	log_info(p->command.log, "%s: %zu message%s", what, n, n == 1 ? "" : "s");
}

static void
tell_totals(struct postsuper *p)
{
	for (int a = 0; a < ACTS; a++) {
		if ((p->asked & (1u << a)) != 0)
			tell_count(p, act_total_name((enum act)a), p->walk.done[a]);
	}
	if (p->walk.renamed == 0)
		return;
	tell_count(p, "Renamed to match inode number", p->walk.renamed);
	log_warning(p->command.log,
		    "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct postsuper p = {.verbose = false};

	argv[0] = (char[]){"postsuper"}; /* in the messages of getopt() */
	command_init(&p.command, mem, "postsuper");
	if (p.command.privileged)
		log_fatal(p.command.log, 1,
			  "this command must not be installed set-uid or set-gid");
	take_options(&p, argc, argv);
	umask(077);
	if (p.verbose)
		log_set_level(p.command.log, LOG_LEVEL_DEBUG);
	command_load(&p.command, p.config_dir,
		     p.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, 1);
	take_queues(&p, argv + optind);
	enter_queue(&p);
	hold_signals();
	replay_journal(&p);
	repair(&p);
	/* Input may be a person who thinks: then a signal may end us at once. */
	release_signals();
	for (size_t i = 0; i < p.n_requests; i++) {
		if (strcmp(p.requests[i].what, "-") == 0)
			act_on_input(&p, p.requests[i].option);
		else
			act_on_one(&p, p.requests[i].option,
				   str_from(p.requests[i].what));
	}
	hold_signals();
	act_on_all(&p);
	mark_journal(&p);
	tell_totals(&p);
	log_free(&p.command.log);
	arena_free(&mem);
	return 0;
}
