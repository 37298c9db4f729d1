/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postfix(1): start, stop and look after a mail system. Each command is a row of the
 * table below; there is no script behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"
#include "config/config.h"

#include "check.h"
#include "instance.h"
#include "rotate.h"

enum { STOP_TRIES = 5, POLLS_PER_SECOND = 50 };

/* -- start ------------------------------------------------------------------- */

static const char *
master_program(const struct instance *in)
{
	return path_in(in, in->common.daemon_directory, "master");
}

static const char *
quick_start_file(const struct instance *in)
{
	return path_in(in, in->common.queue_directory, "quick-start");
}

/* After quick-stop the checks are left out once. */
static void
prepare(const struct instance *in)
{
	pid_t pid;

	if (instance_is_running(in, &pid))
		say_fatal(in, "the Postfix mail system is already running");
	if (sys_unlinkat(AT_FDCWD, quick_start_file(in), 0) == 0)
		return;
	if (!check_fatal(in))
		say_fatal(in, "Postfix integrity check failed!");
	check_warn(in);
}

static int
do_start(const struct instance *in)
{
	const char *const args[] = {"-w", "-c", config_dir(in->config), NULL};

	prepare(in);
	say_info(in, "starting the Postfix mail system");
	if (run_program(in, master_program(in), args) != 0)
		say_fatal(in, "mail system startup failed");
	return 0;
}

static int
do_start_fg(const struct instance *in)
{
	const char *const args[] = {getpid() == 1 ? "-i" : "-s", "-c",
				    config_dir(in->config), NULL};

	if (in->common.multi_instance_directories.len > 0)
		say_fatal(in, "start-fg does not support multi_instance_directories");
	prepare(in);
	say_info(in, "starting the Postfix mail system");
	become_program(in, master_program(in), args);
}

/* -- stop -------------------------------------------------------------------- */

static pid_t
must_run(const struct instance *in)
{
	pid_t pid;

	if (!instance_is_running(in, &pid))
		say_fatal(in, "the Postfix mail system is not running");
	if (pid <= 0)
		say_fatal(in, "%s is locked but has no process id in it", in->pid_file);
	return pid;
}

static void
must_signal(const struct instance *in, pid_t pid, int sig)
{
	if (sys_kill(pid, sig) != 0)
		say_fatal(in, "signal process %d: %s", (int)pid, strerror(errno));
}

/* Up to a second. */
static bool
wait_until_gone(const struct instance *in)
{
	const struct timespec pause = {0, 1000000000 / POLLS_PER_SECOND};
	pid_t pid;

	for (int i = 0; i < POLLS_PER_SECOND; i++) {
		if (!instance_is_running(in, &pid))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static int
do_stop(const struct instance *in)
{
	pid_t pid = must_run(in);

	say_info(in, "stopping the Postfix mail system");
	must_signal(in, pid, SIGTERM);
	for (int i = 0; i < STOP_TRIES; i++) {
		if (wait_until_gone(in))
			return 0;
		say_info(in, "waiting for the Postfix mail system to terminate");
	}
	say_warning(in, "stopping the Postfix mail system with force");
	/* The group, or with start-fg, where it leads none, the process alone: its
	 * daemons see that it is gone. */
	if (sys_kill(-pid, SIGKILL) != 0)
		must_signal(in, pid, SIGKILL);
	return 0;
}

static int
do_quick_stop(const struct instance *in)
{
	int status = do_stop(in);
	int fd = sys_openat(AT_FDCWD, quick_start_file(in),
			    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		say_fatal(in, "create %s: %s", quick_start_file(in), strerror(errno));
	sys_close(fd);
	return status;
}

static int
do_abort(const struct instance *in)
{
	pid_t pid = must_run(in);

	say_info(in, "aborting the Postfix mail system");
	must_signal(in, pid, SIGTERM);
	return 0;
}

/* Without their master the daemons finish what they do and end. */
static int
do_drain(const struct instance *in)
{
	pid_t pid = must_run(in);

	say_info(in, "stopping the Postfix mail system");
	must_signal(in, pid, SIGKILL);
	return 0;
}

/* -- the others -------------------------------------------------------------- */

/* Files move to where a changed hash_queue_depth wants them. That may take long, and the
 * queue manager finds what has not moved yet at its next look. */
static void
sort_queue(const struct instance *in)
{
	const char *const args[] = {"-c", config_dir(in->config), NULL};
	const char *program = path_in(in, in->common.command_directory, "postsuper");

	if (access(program, X_OK) == 0 && !launch_program(in, program, args))
		say_warning(in, "cannot start %s: %s", program, strerror(errno));
}

static int
do_reload(const struct instance *in)
{
	pid_t pid = must_run(in);

	if (!check_configuration(in))
		say_fatal(in, "not reloaded: the running mail system keeps its old "
			      "configuration");
	say_info(in, "refreshing the Postfix mail system");
	must_signal(in, pid, SIGHUP);
	sort_queue(in);
	return 0;
}

static int
do_flush(const struct instance *in)
{
	const char *const args[] = {"-c", config_dir(in->config), "-f", NULL};

	must_run(in);
	become_program(in, path_in(in, in->common.command_directory, "postqueue"), args);
}

/* As Postfix: 0 with warnings too; not 0 for what keeps mail from working. */
static int
do_check(const struct instance *in)
{
	if (!check_fatal(in))
		say_fatal(in, "Postfix integrity check failed!");
	check_warn(in);
	return check_configuration(in) && check_meaning(in) ? 0 : 1;
}

static int
do_status(const struct instance *in)
{
	pid_t pid;

	if (!instance_is_running(in, &pid)) {
		say_info(in, "the Postfix mail system is not running");
		return 1;
	}
	say_info(in, "the Postfix mail system is running: PID: %d", (int)pid);
	return 0;
}

static int
do_set_permissions(const struct instance *in)
{
	return set_permissions(in) ? 0 : 1;
}

static int
do_refuse(const struct instance *in)
{
	say_fatal(in, "this command is not implemented; nothing was done");
}

static const struct command {
	const char *name;
	int (*run)(const struct instance *in);
} commands[] = {
	{"start", do_start},
	{"start-fg", do_start_fg},
	{"stop", do_stop},
	{"quick-stop", do_quick_stop},
	{"abort", do_abort},
	{"drain", do_drain},
	{"reload", do_reload},
	{"flush", do_flush},
	{"check", do_check},
	{"status", do_status},
	{"set-permissions", do_set_permissions},
	{"logrotate", rotate_log},
	{"upgrade-configuration", do_refuse},
	{"tls", do_refuse},
	{"non-bdb", do_refuse},
	{"post-install", do_refuse},
};

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* -- main -------------------------------------------------------------------- */

/* An ordinary user may run an instance of their own, no other. */
static void
check_user(const struct instance *in)
{
	struct stat st;

	if (in->root)
		return;
	if (sys_fstatat(AT_FDCWD, in->queue_directory, &st, 0) == 0 &&
	    st.st_uid != geteuid()) {
		fprintf(stderr,
			"postfix: fatal: the postfix command is reserved for the "
			"superuser (%s is not yours)\n",
			in->queue_directory);
		exit(1);
	}
}

/* As Postfix: defaults of an older version are in force, and how to end that. */
static void
tell_compatibility(const struct instance *in)
{
	int order;

	if (!config_level_compare(in->common.compatibility_level, STR("3.6"), &order) ||
	    order >= 0)
		return;
	say_info(in, "Postfix is using backwards-compatible default settings");
	say_info(in, "See http://www.postfix.org/COMPATIBILITY_README.html for details");
	say_info(in, "To disable backwards compatibility use \"postconf "
		     "compatibility_level=3.6\" and \"postfix reload\"");
}

static NORETURN void
usage(void)
{
	fprintf(stderr, "postfix: fatal: usage: postfix [-c config_dir] [-Dv] command\n");
	exit(1);
}

int
main(int argc, char **argv)
{
	struct arena *mem = arena_new();
	const struct command *command;
	const char *dir = NULL;
	struct instance in;
	struct err err;
	bool verbose = false;
	int status;
	int c;

	while ((c = getopt(argc, argv, "+c:Dv")) != -1) {
		if (c == 'c')
			dir = optarg;
		else if (c == 'v')
			verbose = true;
		else if (c != 'D')
			usage();
	}
	if (optind >= argc)
		usage();
	umask(022);
	if (!instance_open(mem, dir, &in, &err)) {
		fprintf(stderr, "postfix: fatal: %s\n", err.text);
		return 1;
	}
	in.verbose = verbose;
	check_user(&in);
	command = command_find(argv[optind]);
	if (command == NULL)
		say_fatal(&in,
			  "unknown command: '%s'. Usage: postfix start (or stop, "
			  "reload, abort, flush, check, status, set-permissions, "
			  "logrotate)",
			  argv[optind]);
	tell_compatibility(&in);
	status = command->run(&in);
	log_free(&in.log);
	arena_free(&mem);
	return status;
}
