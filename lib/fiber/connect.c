/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/connect.h"

#include <errno.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/sys.h"

#include "fiber/fiber.h"

enum { BACKLOG_RETRY_MS = 10 };

/* Wakes the fiber when the descriptor is writable. */
static void
connected(struct watch *w, unsigned ready, void *arg)
{
	(void)ready;
	watch_stop(w);
	fiber_unpark(arg);
}

static int
wait_connected(struct loop *loop, int fd, int64_t limit_ms)
{
	struct watch w;
	enum fiber_wake wake;
	socklen_t size = sizeof(int);
	int error = 0;

	watch_init(&w, loop, fd, WATCH_WRITE, connected, fiber_current(loop));
	watch_start(&w);
	wake = fiber_park(loop, limit_ms);
	watch_stop(&w);
	if (wake == FIBER_TIMEOUT)
		return ETIMEDOUT;
	if (wake == FIBER_CANCELLED)
		return ECANCELED;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return errno;
	return error;
}

/* 0, or an errno. */
static int
do_connect(struct loop *loop, int fd, const struct sockaddr *to, socklen_t to_len,
	   int64_t limit_ms)
{
	for (;;) {
		if (sys_connect(fd, to, to_len) == 0)
			return 0;
		if (errno == EINPROGRESS)
			return wait_connected(loop, fd, limit_ms);
		if (errno == EINTR)
			continue;
		/* A UNIX-domain server whose queue is full: there is nothing to poll for.
		 */
		if (errno != EAGAIN)
			return errno;
		if (loop_now_ms(loop) >= limit_ms)
			return ETIMEDOUT;
		if (!fiber_sleep(loop, BACKLOG_RETRY_MS))
			return ECANCELED;
	}
}

bool
stream_connect(struct loop *loop, const struct sockaddr *to, socklen_t to_len,
	       const struct sockaddr *from, socklen_t from_len, int64_t timeout_ms,
	       struct stream **out, struct err *err)
{
	int64_t limit_ms = loop_deadline_ms(loop, timeout_ms);
	int fd = sys_socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "socket");
	if (from != NULL && sys_bind(fd, from, from_len) < 0) {
		IGNORE(err_errno(err, ERR_TEMP, "bind"));
		sys_close(fd);
		return false;
	}
	error = do_connect(loop, fd, to, to_len, limit_ms);
	if (error != 0) {
		sys_close(fd);
		errno = error;
		return err_errno(err, ERR_TEMP, "connect");
	}
	*out = stream_from_fd(loop, fd);
	return true;
}
