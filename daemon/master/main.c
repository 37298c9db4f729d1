/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master(8): reads the configuration, holds the sockets, starts and restarts the daemons.
 *
 * With -w the caller waits until the first plan stands and the log is being written: the
 * process that stays tells its parent over a pipe. So what happens next, be it a bad
 * configuration that the log's writer could not start with, is logged. As PID 1 (-i) it
 * also reaps orphans, and SIGINT stops it as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "config/config.h"
#include "daemon/logging.h"
#include "daemon/masterlock.h"
#include "daemon/privilege.h"
#include "fiber/loop.h"

#include "plan.h"
#include "supervisor.h"

/* A log's writer that is neither ready nor gone by then holds up nobody's start. */
enum { LOGGER_WAIT_MS = 5000 };

struct options {
	const char *config_dir;
	int64_t exit_after_s; /* 0 = never */
	unsigned verbose;
	bool foreground; /* -d -s -i */
	bool keep_group; /* -i: whoever started us leads */
	bool keep_session;
	bool check;
	bool test_lock;
	bool wait;
};

struct master {
	struct arena *mem;
	struct options o;
	struct log *log;
	struct loop *loop;
	struct supervisor *supervisor;
	struct timer exit_timer;
	struct timer logger_timer;
	uid_t owner;
	int pid_lock;
	int data_lock;
	int null_fd;
	int tell_fd; /* to the parent that waits, or -1 */
	const char *pid_file;
	const char *data_file;
};

static bool
parse_seconds(const char *text, int64_t *out)
{
	return str_to_i64(str_from(text), 1, 1000000000, out);
}

static bool
parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:Dde:ikstvw")) != -1) {
		switch (c) {
		case 'c':
			o->config_dir = optarg;
			break;
		case 'D':
			break; /* warned of in main() */
		case 'd':
			o->foreground = true;
			break;
		case 'e':
			if (!parse_seconds(optarg, &o->exit_after_s))
				return false;
			break;
		case 'i':
			o->foreground = o->keep_session = o->keep_group = true;
			break;
		case 'k':
			o->check = true;
			break;
		case 's':
			o->foreground = o->keep_session = true;
			break;
		case 't':
			o->test_lock = true;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'w':
			o->wait = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static void
die(struct master *m, const struct err *err)
{
	log_fatal(m->log, 1, "%s", err->text);
}

/* -- becoming a daemon ------------------------------------------------------- */

/* The parent's part: exit 0 when the child says so, or at once. */
static NORETURN void
wait_for_child(struct master *m, int fd)
{
	char c = 1;

	if (m->o.wait && sys_read(fd, &c, 1) != 1)
		c = 1;
	else if (!m->o.wait)
		c = 0;
	_exit(c);
}

/* In the background, leader of a session and process group of our own: `postfix stop` can
 * end all of us at once when it must. */
static void
go_background(struct master *m)
{
	struct err err;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		err_errno(&err, ERR_TEMP, "pipe");
		die(m, &err);
	}
	pid = sys_fork();
	if (pid < 0) {
		err_errno(&err, ERR_TEMP, "fork");
		die(m, &err);
	}
	if (pid > 0) {
		sys_close(ends[1]);
		wait_for_child(m, ends[0]);
	}
	sys_close(ends[0]);
	m->tell_fd = ends[1];
	IGNORE(setsid() < 0);
}

static void
tell_parent(struct master *m)
{
	if (m->tell_fd < 0)
		return;
	IGNORE(sys_write(m->tell_fd, "", 1) != 1);
	sys_close(m->tell_fd);
	m->tell_fd = -1;
	/* Only now: what went wrong before was seen by whoever started us. */
	for (int fd = 0; fd < 3; fd++)
		IGNORE(dup2(m->null_fd, fd) < 0);
}

/* Whoever reads our pid in the lock file may signal us: that waits until we can answer.
 */
static void
hold_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	IGNORE(sigprocmask(how, &set, NULL) != 0);
}

/* Descriptors 0 to 2 exist (open() must not give them), none other is inherited. */
static void
tidy_descriptors(struct master *m)
{
	do {
		m->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (m->null_fd >= 0 && m->null_fd < 3 && fcntl(m->null_fd, F_SETFD, 0) == 0);
	if (m->null_fd < 0)
		log_fatal(m->log, 1, "open /dev/null: %s", strerror(errno));
	IGNORE(close_range((unsigned)m->null_fd + 1, ~0u, 0) != 0);
}

/* -- start ------------------------------------------------------------------- */

static void
test_lock(struct master *m)
{
	struct err err;
	pid_t pid = 0;

	switch (masterlock_look(m->pid_file, &pid, &err)) {
	case MASTERLOCK_FREE:
		exit(0);
	case MASTERLOCK_HELD:
		exit(1);
	case MASTERLOCK_FAILED:
		die(m, &err);
	}
}

/* mail_owner must exist where we can become them. */
static bool
find_owner(struct master *m, const struct plan *plan, struct err *err)
{
	gid_t gid;

	m->owner = (uid_t)-1;
	if (geteuid() != 0)
		return true;
	if (!privilege_find_user(str_c(m->mem, plan->common.mail_owner), &m->owner, &gid,
				 err))
		return err_prefix(err, "%s: parameter mail_owner",
				  config_file(plan->config));
	return true;
}

static void
name_files(struct master *m, const struct plan *plan)
{
	m->pid_file = str_printf(m->mem, PRI_STR "/master.pid",
				 STR_ARG(plan->master.process_id_directory))
			      .p;
	m->data_file = str_printf(m->mem, PRI_STR "/master.lock",
				  STR_ARG(plan->common.data_directory))
			       .p;
}

static bool
take_locks(struct master *m, struct err *err)
{
	return masterlock_take(m->pid_file, (uid_t)-1, &m->pid_lock, err) &&
	       masterlock_take(m->data_file, m->owner, &m->data_lock, err) &&
	       masterlock_write(m->pid_lock, m->pid_file, err) &&
	       masterlock_write(m->data_lock, m->data_file, err);
}

static struct plan *
first_plan(struct master *m)
{
	struct plan *plan;
	struct err err;

	if (!plan_load(m->o.config_dir, &plan, &err) ||
	    !logging_open(m->log, m->mem, plan->config, "master", &err) ||
	    !find_owner(m, plan, &err))
		die(m, &err);
	if (m->o.verbose > 0)
		log_set_level(m->log, LOG_LEVEL_DEBUG);
	log_copy_stderr(m->log, LOG_LEVEL_FATAL);
	if (chdir(plan->queue_directory) != 0) {
		err_errno(&err, ERR_CONFIG, "chdir %s", plan->queue_directory);
		die(m, &err);
	}
	name_files(m, plan);
	return plan;
}

/* Would it run? Warnings and the first error go where whoever asks can see them. */
static NORETURN void
check_only(struct master *m)
{
	struct plan *plan;
	struct err err;

	log_copy_stderr(m->log, LOG_LEVEL_INFO);
	if (!plan_load(m->o.config_dir, &plan, &err) ||
	    !logging_open(m->log, m->mem, plan->config, "master", &err) ||
	    !find_owner(m, plan, &err)) {
		log_error(m->log, "%s", err.text);
		exit(1);
	}
	for (size_t i = 0; i < plan->warning_count; i++)
		log_warning(m->log, PRI_STR, STR_ARG(plan->warnings[i]));
	exit(0);
}

/* -- life -------------------------------------------------------------------- */

static void
log_generation(struct master *m, const char *what)
{
	const struct plan *plan = supervisor_plan(m->supervisor);

	log_info(m->log, "%s -- version " PRI_STR ", configuration %s", what,
		 STR_ARG(plan->common.mail_version), config_dir(plan->config));
}

static void
reload(int sig UNUSED, void *arg)
{
	struct master *m = arg;
	struct plan *plan = NULL;
	struct err err;

	if (!plan_load(m->o.config_dir, &plan, &err) ||
	    !supervisor_reload(m->supervisor, plan, &err)) {
		log_error(m->log, "reload: %s; the old configuration stays in force",
			  err.text);
		plan_free(&plan);
		return;
	}
	if (!logging_open(m->log, m->mem, plan->config, "master", &err))
		log_error(m->log, "%s", err.text);
	log_generation(m, "reload");
}

static void
terminate(int sig, void *arg)
{
	struct master *m = arg;

	log_info(m->log, "terminating on signal %d", sig);
	supervisor_stop(m->supervisor);
}

static void
exit_due(struct timer *t UNUSED, void *arg)
{
	struct master *m = arg;

	log_info(m->log, "master exit time has arrived");
	supervisor_stop(m->supervisor);
}

static void
child_ended(int sig UNUSED, void *arg)
{
	struct master *m = arg;

	supervisor_reap(m->supervisor);
}

static void
logger_settled(void *arg)
{
	struct master *m = arg;

	tell_parent(m);
}

static void
logger_late(struct timer *t UNUSED, void *arg)
{
	logger_settled(arg);
}

static void
all_stopped(void *arg)
{
	struct master *m = arg;

	loop_stop(m->loop);
}

static void
serve(struct master *m, struct plan *plan)
{
	struct supervisor_options options = {
		.log = m->log,
		.owner = m->owner,
		.null_fd = m->null_fd,
		.output_fd = m->o.foreground ? STDOUT_FILENO : -1,
		.logger_settled = logger_settled,
		.stopped = all_stopped,
		.arg = m,
	};
	struct err err;

	m->loop = loop_new();
	options.loop = m->loop;
	/* The children that end before the next turn are found then: the signal is
	 * watched first. */
	loop_on_signal(m->loop, SIGCHLD, child_ended, m);
	loop_on_signal(m->loop, SIGHUP, reload, m);
	loop_on_signal(m->loop, SIGTERM, terminate, m);
	if (m->o.foreground)
		loop_on_signal(m->loop, SIGINT, terminate, m);
	hold_signals(SIG_UNBLOCK);
	m->supervisor = supervisor_start(&options, plan, &err);
	if (m->supervisor == NULL)
		die(m, &err);
	timer_init(&m->exit_timer, m->loop, exit_due, m);
	if (m->o.exit_after_s > 0)
		timer_start_ms(&m->exit_timer, m->o.exit_after_s * 1000);
	log_generation(m, "daemon started");
	timer_init(&m->logger_timer, m->loop, logger_late, m);
	timer_start_ms(&m->logger_timer,
		       supervisor_awaits_logger(m->supervisor) ? LOGGER_WAIT_MS : 0);
	loop_run(m->loop);
	timer_stop(&m->logger_timer);
	timer_stop(&m->exit_timer);
	supervisor_free(&m->supervisor);
	loop_free(&m->loop);
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	struct master *m = ARENA_NEW(mem, struct master);
	struct plan *plan;
	struct err err;

	m->mem = mem;
	m->tell_fd = -1;
	m->log = log_new("postfix/master");
	if (!parse_options(argc, argv, &m->o))
		log_fatal(m->log, 1,
			  "usage: %s [-c config_dir] [-D (debug)] [-d (don't detach from "
			  "terminal)] [-e exit_time] [-i (init)] [-k (check)] [-s (stand "
			  "alone)] "
			  "[-t (test)] [-v] [-w (wait for initialization)]",
			  argv[0]);
	if (geteuid() != getuid())
		log_fatal(m->log, 1, "this program must not be run set-uid");
	if (m->o.keep_group && getpid() != 1)
		log_fatal(m->log, 1, "-i is for process 1 only");
	tidy_descriptors(m);
	umask(022);
	if (m->o.check)
		check_only(m);
	plan = first_plan(m);
	if (m->o.test_lock)
		test_lock(m);
	if (!m->o.foreground)
		go_background(m);
	else if (!m->o.keep_session)
		IGNORE(setpgid(0, 0) != 0);
	hold_signals(SIG_BLOCK);
	if (!take_locks(m, &err))
		die(m, &err);
	privilege_limits();
	serve(m, plan);
	log_free(&m->log);
	arena_free(&mem);
	return 0;
}
