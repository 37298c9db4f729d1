/* SPDX-License-Identifier: Apache-2.0 */
#include "rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sys.h"

enum { SUFFIX_MAX = 200 };

static const char *
rotated_name(const struct instance *in)
{
	char suffix[SUFFIX_MAX];
	time_t now = (time_t)(sys_now_us() / 1000000);
	const char *format = str_c(in->mem, in->logging.maillog_file_rotate_suffix);
	struct tm tm;
	size_t n;

	localtime_r(&now, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = strftime(suffix, sizeof(suffix), format, &tm);
#pragma GCC diagnostic pop
	if (n == 0 || strchr(suffix, '/') != NULL)
		say_fatal(in, "bad value of maillog_file_rotate_suffix: %s", format);
	return str_printf(in->mem, PRI_STR ".%s", STR_ARG(in->logging.maillog_file),
			  suffix)
		.p;
}

static int
compress(const struct instance *in, const char *file)
{
	const char *compressor = str_c(in->mem, in->logging.maillog_file_compressor);
	const char *const args[] = {compressor, file, NULL};
	int status;

	if (compressor[0] == '\0')
		return 0;
	/* env looks the command up in PATH; no shell reads the name. */
	status = run_program(in, "/usr/bin/env", args);
	if (status != 0)
		say_fatal(in, "%s %s: exit status %d", compressor, file, status);
	return 0;
}

int
rotate_log(const struct instance *in)
{
	const char *file = str_c(in->mem, in->logging.maillog_file);
	const char *rotated;
	pid_t pid;

	if (file[0] == '\0')
		say_fatal(in, "maillog_file is empty: the log is syslog's to rotate");
	if (strncmp(file, "/dev/", 5) == 0)
		say_fatal(in, "cannot rotate %s", file);
	rotated = rotated_name(in);
	if (access(rotated, F_OK) == 0)
		say_fatal(in, "%s exists already", rotated);
	if (sys_renameat(AT_FDCWD, file, AT_FDCWD, rotated) != 0)
		say_fatal(in, "rename %s to %s: %s", file, rotated, strerror(errno));
	if (instance_is_running(in, &pid) && pid > 0 && sys_kill(pid, SIGHUP) != 0)
		say_fatal(in, "signal process %d: %s", (int)pid, strerror(errno));
	/* Until then lines may still go to the old file. */
	sleep(1);
	return compress(in, rotated);
}
