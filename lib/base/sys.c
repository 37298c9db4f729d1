/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(HIKYAKU_FAULTS)

#include "base/macros.h"

enum fault_action { FAULT_NONE, FAULT_KILL, FAULT_KILLED, FAULT_SHORT, FAULT_ERRNO };

/* What this process was told to get wrong; read once from the environment. */
static struct fault {
	bool loaded;
	char call[32];
	long at;
	long count;
	enum fault_action action;
	int errnum;
	bool repeat;
} fault;

static const struct {
	const char *name;
	int errnum;
} fault_errors[] = {
	{"EIO", EIO},       {"ENOSPC", ENOSPC},         {"EDQUOT", EDQUOT},
	{"EINTR", EINTR},   {"EROFS", EROFS},           {"EMFILE", EMFILE},
	{"ENFILE", ENFILE}, {"EACCES", EACCES},         {"EAGAIN", EAGAIN},
	{"ENOMEM", ENOMEM}, {"ECONNRESET", ECONNRESET},
};

static void
fault_set_action(const char *action)
{
	if (strcmp(action, "kill") == 0)
		fault.action = FAULT_KILL;
	else if (strcmp(action, "killed") == 0)
		fault.action = FAULT_KILLED;
	else if (strcmp(action, "short") == 0)
		fault.action = FAULT_SHORT;
	for (size_t i = 0; i < ARRAY_LEN(fault_errors); i++) {
		if (strcmp(action, fault_errors[i].name) == 0) {
			fault.action = FAULT_ERRNO;
			fault.errnum = fault_errors[i].errnum;
		}
	}
}

static void
fault_count_write(void)
{
	const char *path = getenv("HIKYAKU_FAULT_COUNT");
	char line[100];
	int n;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %ld\n", program_invocation_short_name,
		     fault.count);
	if (n > 0)
		IGNORE(write(fd, line, (size_t)n) < 0);
	close(fd);
}

static void
fault_load(void)
{
	const char *spec = getenv("HIKYAKU_FAULT");
	char program[64];
	char action[16];
	char at[16];
	char mode[8] = "once";

	fault.loaded = true;
	if (spec == NULL || sscanf(spec, "%63[^:]:%31[^:]:%15[^:]:%15[^:]:%7s", program,
				   fault.call, at, action, mode) < 4)
		return;
	fault.at = strtol(at, NULL, 10);
	if (strcmp(program, "*") != 0 &&
	    strcmp(program, program_invocation_short_name) != 0)
		return;
	fault.repeat = strcmp(mode, "on") == 0;
	fault_set_action(action);
	atexit(fault_count_write);
}

static enum fault_action
fault_before(const char *call)
{
	bool hit;

	if (!fault.loaded)
		fault_load();
	if (fault.call[0] == '\0' ||
	    (strcmp(fault.call, "*") != 0 && strcmp(fault.call, call) != 0))
		return FAULT_NONE;
	fault.count++;
	hit = fault.count == fault.at || (fault.repeat && fault.count > fault.at);
	if (!hit)
		return FAULT_NONE;
	if (fault.action == FAULT_KILL)
		kill(getpid(), SIGKILL);
	if (fault.action == FAULT_ERRNO)
		errno = fault.errnum;
	return fault.action;
}

static void
fault_after(enum fault_action action)
{
	if (action == FAULT_KILLED)
		kill(getpid(), SIGKILL);
}

/* The calls whose third argument is a byte count, for which `short` makes sense. */
static bool
fault_can_be_short(const char *call)
{
	return strcmp(call, "read") == 0 || strcmp(call, "write") == 0 ||
	       strcmp(call, "send") == 0 || strcmp(call, "recv") == 0 ||
	       strcmp(call, "pwrite") == 0 || strcmp(call, "pread") == 0;
}

static size_t
fault_size(const char *call, size_t n)
{
	/* Asked before the call is counted: look one ahead. */
	bool next = fault.loaded && fault.action == FAULT_SHORT &&
		    fault_can_be_short(call) &&
		    (strcmp(fault.call, "*") == 0 || strcmp(fault.call, call) == 0) &&
		    (fault.count + 1 == fault.at ||
		     (fault.repeat && fault.count >= fault.at));

	return next && n > 1 ? 1 : n;
}

#define SYS(result, name, params, args)                                                  \
	result sys_##name params                                                         \
	{                                                                                \
		enum fault_action action = fault_before(#name);                          \
		result r;                                                                \
                                                                                         \
		if (action == FAULT_ERRNO)                                               \
			return -1;                                                       \
		r = name args;                                                           \
		fault_after(action);                                                     \
		return r;                                                                \
	}

/* Give the calls that move bytes a size that the fault may cut. */
#define read(fd, p, n)        read(fd, p, fault_size("read", n))
#define write(fd, p, n)       write(fd, p, fault_size("write", n))
#define pread(fd, p, n, at)   pread(fd, p, fault_size("pread", n), at)
#define pwrite(fd, p, n, at)  pwrite(fd, p, fault_size("pwrite", n), at)
#define recv(fd, p, n, flags) recv(fd, p, fault_size("recv", n), flags)
#define send(fd, p, n, flags) send(fd, p, fault_size("send", n), flags)

#else

#define SYS(result, name, params, args)                                                  \
	result sys_##name params                                                         \
	{                                                                                \
		return name args;                                                        \
	}

#endif

#include "base/sys.def"

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
sys_now_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t
sys_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
sys_mono_ms(void)
{
	return sys_mono_us() / 1000;
}
