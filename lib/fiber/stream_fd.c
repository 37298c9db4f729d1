/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottom of most streams: a descriptor. Input comes by recvmsg() when descriptors may
 * come with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"

#include "fiber/fiber.h"
#include "fiber/stream_internal.h"

/* One watch per direction, so that a reader and a writer may wait at the same time. */
struct fd_waiter {
	struct watch watch;
	struct fiber *fiber;
	bool initialised;
};

struct fd_state {
	struct fd_waiter read;
	struct fd_waiter write;
};

static enum stream_io
io_error(struct stream_layer *layer, enum stream_io want)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return want;
	layer->errnum = errno;
	return STREAM_IO_ERROR;
}

/* Take the descriptors of a control message into the queue; false if there are too many.
 */
static bool
take_fds(struct stream *s, struct msghdr *m)
{
	bool ok = (m->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n;
		int fds[STREAM_FDS_MAX];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = MIN_OF((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), ARRAY_LEN(fds));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (s->received.n < STREAM_FDS_MAX) {
				s->received.fds[s->received.n++] = fds[i];
			} else {
				close(fds[i]);
				ok = false;
			}
		}
	}
	return ok;
}

static ssize_t
receive_with_fds(struct stream *s, void *p, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(STREAM_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = {.iov_base = p, .iov_len = n};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof(control.space)};
	ssize_t got = sys_recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC);

	if (got >= 0 && !take_fds(s, &m)) {
		errno = EMFILE;
		return -1;
	}
	return got;
}

static enum stream_io
fd_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct stream *s = layer->stream;
	ssize_t got =
		s->received.accept ? receive_with_fds(s, p, n) : sys_read(s->fd, p, n);

	if (got < 0)
		return io_error(layer, STREAM_IO_WANT_READ);
	if (got == 0)
		return STREAM_IO_EOF;
	*got_out = (size_t)got;
	return STREAM_IO_DONE;
}

static enum stream_io
fd_write(struct stream_layer *layer, const struct iovec *v, int count, size_t *put_out)
{
	ssize_t put = sys_writev(layer->stream->fd, v, count);

	if (put < 0)
		return io_error(layer, STREAM_IO_WANT_WRITE);
	*put_out = (size_t)put;
	return STREAM_IO_DONE;
}

static void
fd_close(struct stream_layer *layer)
{
	struct fd_state *state = layer->state;

	if (state->read.initialised)
		watch_stop(&state->read.watch);
	if (state->write.initialised)
		watch_stop(&state->write.watch);
	if (layer->stream->fd >= 0)
		sys_close(layer->stream->fd);
	mem_free(state);
}

static void
fd_ready(struct watch *w, unsigned ready, void *arg)
{
	struct fd_waiter *waiter = arg;

	(void)ready;
	watch_stop(w);
	fiber_unpark(waiter->fiber);
}

static enum stream_status
fd_wait(struct stream_layer *layer, bool for_write, int64_t deadline_ms)
{
	struct fd_state *state = layer->state;
	struct fd_waiter *waiter = for_write ? &state->write : &state->read;
	struct loop *loop = layer->stream->loop;
	enum fiber_wake wake;

	if (!waiter->initialised) {
		watch_init(&waiter->watch, loop, layer->stream->fd,
			   for_write ? WATCH_WRITE : WATCH_READ, fd_ready, waiter);
		waiter->initialised = true;
	}
	waiter->fiber = fiber_current(loop);
	watch_start(&waiter->watch);
	wake = fiber_park(loop, deadline_ms);
	watch_stop(&waiter->watch);
	switch (wake) {
	case FIBER_WOKEN:
		return STREAM_OK;
	case FIBER_TIMEOUT:
		return STREAM_TIMEOUT;
	case FIBER_CANCELLED:
		break;
	}
	return STREAM_CANCELLED;
}

static const struct stream_ops fd_ops = {
	.name = "descriptor",
	.read = fd_read,
	.write = fd_write,
	.close = fd_close,
	.wait = fd_wait,
};

struct stream *
stream_from_fd(struct loop *loop, int fd)
{
	struct stream *s = stream_new(loop, &fd_ops, mem_alloc(sizeof(struct fd_state)));
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		IGNORE(fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0);
	s->fd = fd;
	return s;
}

enum stream_status
stream_shutdown(struct stream *s, int how)
{
	enum stream_status status = how == SHUT_RD ? STREAM_OK : stream_flush(s);

	if (status == STREAM_OK && s->fd >= 0 && sys_shutdown(s->fd, how) < 0) {
		s->errnum = errno;
		return STREAM_ERROR;
	}
	return status;
}

/* ---- passing descriptors ---- */

void
stream_accept_fds(struct stream *s)
{
	s->received.accept = true;
}

static ssize_t
send_with_fd(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char nul = '\0';
	struct iovec v = {.iov_base = &nul, .iov_len = 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sys_sendmsg(socket, &m, MSG_NOSIGNAL);
}

enum stream_status
stream_send_fd(struct stream *s, int fd)
{
	enum stream_status status = stream_flush(s);
	int64_t limit_ms =
		MIN_OF(s->deadline_ms, loop_deadline_ms(s->loop, s->timeout_ms));

	ensure(s->fd >= 0);
	while (status == STREAM_OK) {
		if (send_with_fd(s->fd, fd) == 1)
			return STREAM_OK;
		if (io_error(s->bottom, STREAM_IO_WANT_WRITE) == STREAM_IO_ERROR) {
			s->errnum = s->bottom->errnum;
			status = STREAM_ERROR;
		} else {
			status = fd_wait(s->bottom, true, limit_ms);
		}
	}
	s->write_status = status;
	return status;
}

enum stream_status
stream_receive_fd(struct stream *s, int *fd_out)
{
	char nul;
	enum stream_status status = stream_read_exact(s, &nul, 1);

	if (status != STREAM_OK)
		return status;
	if (nul != '\0' || s->received.n == 0) {
		s->errnum = EBADMSG;
		s->read_status = STREAM_ERROR;
		return STREAM_ERROR;
	}
	*fd_out = s->received.fds[0];
	s->received.n--;
	memmove(s->received.fds, s->received.fds + 1, s->received.n * sizeof(int));
	return STREAM_OK;
}
