/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/connect.h"

#include <errno.h>

#include "base/panic.h"
#include "base/sys.h"
#include "fiber/fiber.h"

/* A UNIX-domain server with a full backlog gives no readiness to wait for. */
enum { UNIX_RETRY_MS = 10 };

struct dialer {
	struct fiber *fiber;
};

static void
on_writable(struct watch *w, unsigned ready, void *arg)
{
	struct dialer *d = arg;

	(void)ready;
	watch_stop(w);
	fiber_unpark(d->fiber);
}

static bool
wake_failed(enum fiber_wake wake, struct err *err)
{
	errno = wake == FIBER_TIMEOUT ? ETIMEDOUT : ECANCELED;
	return err_errno(err, ERR_TEMP, "connect");
}

static bool
wait_connected(struct loop *loop, int fd, int64_t deadline, struct err *err)
{
	struct dialer d = {.fiber = fiber_current(loop)};
	struct watch w;
	enum fiber_wake wake;
	int error = 0;
	socklen_t len = sizeof(error);

	watch_init(&w, loop, fd, WATCH_WRITE, on_writable, &d);
	watch_start(&w);
	wake = fiber_park(loop, deadline);
	watch_stop(&w);
	if (wake != FIBER_WOKEN)
		return wake_failed(wake, err);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0)
		return true;
	errno = error;
	return err_errno(err, ERR_TEMP, "connect");
}

static bool
dial(struct loop *loop, int fd, const struct sockaddr *to, socklen_t to_len,
     int64_t deadline, struct err *err)
{
	for (;;) {
		int64_t next;
		enum fiber_wake wake;

		if (sys_connect(fd, to, to_len) == 0)
			return true;
		if (errno == EINPROGRESS || errno == EINTR)
			return wait_connected(loop, fd, deadline, err);
		if (errno != EAGAIN || to->sa_family != AF_UNIX)
			return err_errno(err, ERR_TEMP, "connect");
		next = loop_deadline_ms(loop, UNIX_RETRY_MS);
		wake = fiber_park(loop, MIN_OF(next, deadline));
		if (wake == FIBER_CANCELLED || loop_now_ms(loop) >= deadline)
			return wake_failed(wake, err);
	}
}

bool
stream_connect_socket(struct loop *loop, int fd, const struct sockaddr *to,
		      socklen_t to_len, int64_t timeout_ms, struct stream **out,
		      struct err *err)
{
	if (fiber_current(loop) == NULL)
		panic("connecting outside a fiber");
	if (!dial(loop, fd, to, to_len, loop_deadline_ms(loop, timeout_ms), err)) {
		sys_close(fd);
		return false;
	}
	*out = stream_from_socket(loop, fd);
	return true;
}

bool
stream_connect(struct loop *loop, const struct sockaddr *to, socklen_t to_len,
	       const struct sockaddr *from, socklen_t from_len, int64_t timeout_ms,
	       struct stream **out, struct err *err)
{
	int fd = sys_socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, ERR_TEMP, "socket");
	if (from != NULL && sys_bind(fd, from, from_len) < 0) {
		err_errno(err, ERR_TEMP, "bind local address");
		sys_close(fd);
		return false;
	}
	return stream_connect_socket(loop, fd, to, to_len, timeout_ms, out, err);
}
