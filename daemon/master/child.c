/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/sys.h"
#include "fiber/loop.h"

enum { CONTROL_FD = 3, FIRST_SOCKET = 4, FDS_MAX = FIRST_SOCKET + ENDPOINTS_MAX };

/* Bring from[i] to descriptor i. First all out of the way, then all into place. */
static bool
place_descriptors(int *from, int n)
{
	for (int i = 0; i < n; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FDS_MAX);
		if (from[i] < 0)
			return false;
	}
	for (int i = 0; i < n; i++) {
		if (dup2(from[i], i) < 0)
			return false;
	}
	return true;
}

/* Between fork and exec: nothing of the parent's is used but what lies ready. */
static NORETURN void
child_main(struct loop *loop, const struct child_start *start, char *const *argv,
	   int *from, int n)
{
	sigset_t blocked;

	/* SIGTERM waits until the daemon has its handler: a log writer that is stopped
	 * while it starts must still write what it was sent. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	loop_forget_in_child(loop);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (place_descriptors(from, n)) {
		execve(start->service->program, argv, start->environment);
		dprintf(STDERR_FILENO, "cannot execute %s: %s\n", start->service->program,
			strerror(errno));
	}
	_exit(1);
}

/* What becomes descriptors 0.. of the daemon. Its sockets are consecutive: an address
 * that this machine does not have is left out. */
static int
collect(const struct child_start *start, int control, int *from)
{
	int n = 0;

	from[n++] = start->null_fd;
	from[n++] = start->output_fd < 0 ? start->null_fd : start->output_fd;
	from[n++] = start->error_fd;
	from[n++] = control;
	for (size_t i = 0; i < start->service->socket_count && n < FDS_MAX; i++) {
		if (start->sockets[i] >= 0)
			from[n++] = start->sockets[i];
	}
	return n;
}

/* The plan's arguments and the count of sockets. */
static char **
make_argv(struct arena *mem, const struct child_start *start, int sockets)
{
	size_t n = 0;
	size_t at = 3;
	char **argv;

	while (start->service->argv[n] != NULL)
		n++;
	argv = arena_alloc_array(mem, n + 4, sizeof(*argv));
	argv[0] = start->service->argv[0];
	argv[1] = arena_strdup(mem, "-s");
	argv[2] = str_c(mem, str_printf(mem, "%d", sockets));
	if (start->is_successor)
		argv[at++] = arena_strdup(mem, "-N");
	for (size_t i = 1; i < n; i++)
		argv[at++] = start->service->argv[i];
	return argv;
}

bool
child_spawn(struct loop *loop, const struct child_start *start, pid_t *pid_out,
	    int *control_out, struct err *err)
{
	int from[FDS_MAX];
	int pair[2];
	int n;
	pid_t pid;
	char **argv;
	struct arena *mem;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(err, ERR_TEMP, "start %s: socketpair",
				 start->service->program);
	n = collect(start, pair[1], from);
	mem = arena_new();
	argv = make_argv(mem, start, n - FIRST_SOCKET);
	pid = sys_fork();
	if (pid == 0)
		child_main(loop, start, argv, from, n);
	arena_free(&mem);
	sys_close(pair[1]);
	if (pid < 0) {
		err_errno(err, ERR_TEMP, "start %s: fork", start->service->program);
		sys_close(pair[0]);
		return false;
	}
	IGNORE(fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0);
	*pid_out = pid;
	*control_out = pair[0];
	return true;
}
