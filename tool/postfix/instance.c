/* SPDX-License-Identifier: Apache-2.0 */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sys.h"
#include "config/config.h"
#include "daemon/logging.h"
#include "daemon/masterlock.h"
#include "daemon/privilege.h"

enum { ARGS_MAX = 20, OUTPUT_MAX = 8 << 20 };

extern char **environ;

static bool
find_people(struct instance *in, struct err *err)
{
	in->root = geteuid() == 0;
	in->owner = geteuid();
	in->owner_group = getegid();
	in->setgid_group = getegid();
	if (!in->root)
		return true;
	return (privilege_find_user(str_c(in->mem, in->common.mail_owner), &in->owner,
				    &in->owner_group, err) ||
		err_prefix(err, "parameter mail_owner")) &&
	       (privilege_find_group(str_c(in->mem, in->common.setgid_group),
				     &in->setgid_group, err) ||
		err_prefix(err, "parameter setgid_group"));
}

bool
instance_open(struct arena *mem, const char *config_dir_name, struct instance *out,
	      struct err *err)
{
	const struct config_options options = {.dir = config_dir_name,
					       .process_name = "postfix"};
	struct instance in = {.mem = mem, .log = log_new("postfix/postfix-script")};

	if (!config_load(mem, &options, &in.config, err) ||
	    !common_config_load(mem, in.config, &in.common, err) ||
	    !log_config_load(mem, in.config, &in.logging, err) ||
	    !master_config_load(mem, in.config, &in.master, err) ||
	    !find_people(&in, err) ||
	    !logging_open(in.log, mem, in.config, "postfix-script", err))
		return false;
	in.queue_directory = str_c(mem, in.common.queue_directory);
	in.pid_file = str_printf(mem, "%s/" PRI_STR "/master.pid", in.queue_directory,
				 STR_ARG(in.master.process_id_directory))
			      .p;
	/* For every program that we start. */
	if (setenv("MAIL_CONFIG", config_dir(in.config), 1) != 0)
		return err_errno(err, ERR_TEMP, "setenv");
	*out = in;
	return true;
}

PRINTF_LIKE(4, 0)
static void
say(const struct instance *in, enum log_level level, const char *prefix,
    const char *format, va_list ap)
{
	struct str text = str_vprintf(in->mem, format, ap);

	log_write(in->log, level, PRI_STR, STR_ARG(text));
	fprintf(stderr, "%s: %s" PRI_STR "\n", log_tag(in->log), prefix, STR_ARG(text));
}

void
say_info(const struct instance *in, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(in, LOG_LEVEL_INFO, "", format, ap);
	va_end(ap);
}

void
say_warning(const struct instance *in, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(in, LOG_LEVEL_WARNING, "warning: ", format, ap);
	va_end(ap);
}

void
say_error(const struct instance *in, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(in, LOG_LEVEL_ERROR, "error: ", format, ap);
	va_end(ap);
}

void
say_fatal(const struct instance *in, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(in, LOG_LEVEL_FATAL, "fatal: ", format, ap);
	va_end(ap);
	exit(1);
}

bool
instance_is_running(const struct instance *in, pid_t *pid_out)
{
	struct err err;
	pid_t pid = 0;

	switch (masterlock_look(in->pid_file, &pid, &err)) {
	case MASTERLOCK_FREE:
		return false;
	case MASTERLOCK_HELD:
		*pid_out = pid;
		return true;
	case MASTERLOCK_FAILED:
		break;
	}
	say_fatal(in, "%s", err.text);
}

const char *
path_in(const struct instance *in, struct str dir, const char *name)
{
	return str_printf(in->mem, PRI_STR "/%s", STR_ARG(dir), name).p;
}

/* argv of a program: its name, then the arguments. */
static char **
make_argv(const struct instance *in, const char *program, const char *const *args)
{
	char **argv = arena_alloc_array(in->mem, ARGS_MAX + 2, sizeof(*argv));
	const char *slash = strrchr(program, '/');

	argv[0] = arena_strdup(in->mem, slash == NULL ? program : slash + 1);
	for (size_t i = 0; i < ARGS_MAX && args[i] != NULL; i++)
		argv[i + 1] = arena_strdup(in->mem, args[i]);
	return argv;
}

/* The process, -1 if there is none; out: its standard output, -1 for ours. */
static pid_t
start_program(const struct instance *in, const char *program, const char *const *args,
	      int out)
{
	char **argv = make_argv(in, program, args);
	pid_t pid = sys_fork();

	if (pid != 0)
		return pid;
	if (out < 0 || dup2(out, STDOUT_FILENO) >= 0)
		sys_execve(program, argv, environ);
	fprintf(stderr, "postfix: cannot execute %s: %s\n", program, strerror(errno));
	_exit(126);
}

/* Its exit status, 128 + signal, or -1. */
static int
wait_program(pid_t pid)
{
	int status;

	if (pid < 0)
		return -1;
	while (sys_waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
run_program(const struct instance *in, const char *program, const char *const *args)
{
	return wait_program(start_program(in, program, args, -1));
}

bool
run_and_read(const struct instance *in, const char *program, const char *const *args,
	     struct str *text_out)
{
	struct err err;
	int ends[2];
	pid_t pid;
	int status;
	bool ok;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		say_warning(in, "pipe: %s", strerror(errno));
		return false;
	}
	pid = start_program(in, program, args, ends[1]);
	sys_close(ends[1]);
	ok = io_read_all(in->mem, ends[0], OUTPUT_MAX, program, text_out, &err);
	sys_close(ends[0]);
	status = wait_program(pid);
	if (!ok)
		say_warning(in, "%s", err.text);
	else if (status < 0 || status >= 126)
		say_warning(in, "%s did not run to its end (status %d)", program, status);
	return ok && status >= 0 && status < 126;
}

bool
launch_program(const struct instance *in, const char *program, const char *const *args)
{
	char **argv = make_argv(in, program, args);
	pid_t pid = sys_fork();

	if (pid == 0) {
		setsid();
		sys_execve(program, argv, environ);
		_exit(126);
	}
	return pid > 0;
}

void
become_program(const struct instance *in, const char *program, const char *const *args)
{
	sys_execve(program, make_argv(in, program, args), environ);
	say_fatal(in, "cannot execute %s: %s", program, strerror(errno));
}
