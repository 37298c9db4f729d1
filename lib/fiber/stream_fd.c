/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer at the bottom of most streams: a non-blocking descriptor, and the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "fiber/stream_internal.h"

/* Somebody who waits in one direction; they lie in the layer, not on the fiber's stack,
 * so that libev sees the same watcher each time and needs no system call for it. */
struct side {
	struct watch watch;
	struct fiber *fiber; /* NULL: nobody */
};

struct fd_state {
	struct side in;
	struct side out;
	bool is_socket;
};

static void
on_ready(struct watch *w, unsigned ready, void *arg)
{
	struct side *side = arg;

	(void)ready;
	watch_stop(w);
	if (side->fiber != NULL)
		fiber_unpark(side->fiber);
}

static enum stream_status
fd_wait(struct stream_layer *layer, bool for_write, int64_t deadline_ms)
{
	struct fd_state *state = layer->state;
	struct side *side = for_write ? &state->out : &state->in;
	struct loop *loop = layer->stream->loop;
	enum fiber_wake wake;

	/* stream_close() in a callback: what cannot be sent at once is dropped. */
	if (for_write && fiber_current(loop) == NULL) {
		layer->errnum = EAGAIN;
		return STREAM_ERROR;
	}
	if (side->fiber != NULL)
		panic("two fibers wait for the same direction of a stream");
	side->fiber = fiber_current(loop);
	watch_start(&side->watch);
	wake = fiber_park(loop, deadline_ms);
	watch_stop(&side->watch);
	side->fiber = NULL;
	if (!for_write)
		layer->stream->drained = false;
	switch (wake) {
	case FIBER_WOKEN:
		return STREAM_OK;
	case FIBER_TIMEOUT:
		return STREAM_TIMEOUT;
	case FIBER_CANCELLED:
		return STREAM_CANCELLED;
	}
	return STREAM_CANCELLED;
}

static enum stream_io
fd_failed(struct stream_layer *layer, bool for_write)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return for_write ? STREAM_IO_WANT_WRITE : STREAM_IO_WANT_READ;
	layer->errnum = errno;
	return STREAM_IO_ERROR;
}

/* Queue the descriptors that came with a message. */
static bool
take_fds(struct stream_layer *layer, struct msghdr *m)
{
	struct stream *s = layer->stream;
	bool ok = (m->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (s->fds_count < STREAM_FDS_MAX) {
				s->fds[s->fds_count++] = fd;
			} else {
				sys_close(fd);
				ok = false;
			}
		}
	}
	if (!ok)
		layer->errnum = EMFILE;
	return ok;
}

static ssize_t
read_with_fds(struct stream_layer *layer, void *p, size_t n, bool *ok)
{
	union {
		char bytes[CMSG_SPACE(STREAM_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec v = {p, n};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control.bytes)};
	ssize_t got = sys_recvmsg(layer->stream->fd, &m, MSG_CMSG_CLOEXEC);

	*ok = got < 0 || take_fds(layer, &m);
	return got;
}

static enum stream_io
fd_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct fd_state *state = layer->state;
	struct stream *s = layer->stream;
	bool ok = true;
	ssize_t got;

	if (layer->stream->drained)
		return STREAM_IO_WANT_READ;
	do {
		if (state->is_socket && s->fds_wanted)
			got = read_with_fds(layer, p, n, &ok);
		else
			got = sys_read(s->fd, p, n);
	} while (got < 0 && errno == EINTR);
	if (!ok)
		return STREAM_IO_ERROR;
	if (got < 0)
		return fd_failed(layer, false);
	if (got == 0)
		return STREAM_IO_EOF;
	layer->stream->drained = state->is_socket && (size_t)got < n;
	*got_out = (size_t)got;
	return STREAM_IO_DONE;
}

static enum stream_io
fd_write(struct stream_layer *layer, const struct iovec *v, int count, size_t *put_out)
{
	struct stream *s = layer->stream;
	ssize_t put;

	do {
		if (count == 1)
			put = sys_write(s->fd, v->iov_base, v->iov_len);
		else
			put = sys_writev(s->fd, v, count);
	} while (put < 0 && errno == EINTR);
	if (put < 0)
		return fd_failed(layer, true);
	*put_out = (size_t)put;
	return STREAM_IO_DONE;
}

enum stream_io
stream_fd_send(struct stream *s, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte = 0;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	enum stream_io io;
	ssize_t put;

	memset(control.bytes, 0, sizeof(control.bytes));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do
		put = sys_sendmsg(s->fd, &m, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put == 1)
		return STREAM_IO_DONE;
	io = fd_failed(s->bottom, true);
	s->errnum = s->bottom->errnum;
	return io;
}

static void
fd_close(struct stream_layer *layer)
{
	struct fd_state *state = layer->state;

	if (state->in.fiber != NULL || state->out.fiber != NULL)
		panic("a stream is closed while a fiber waits on it");
	watch_stop(&state->in.watch);
	watch_stop(&state->out.watch);
	if (layer->stream->fd >= 0)
		sys_close(layer->stream->fd);
	mem_free(state);
}

static const struct stream_ops fd_ops = {
	.name = "descriptor",
	.read = fd_read,
	.write = fd_write,
	.close = fd_close,
	.wait = fd_wait,
};

static struct stream *
from_fd(struct loop *loop, int fd, bool is_socket)
{
	struct fd_state *state = mem_alloc(sizeof(*state));
	struct stream *s = stream_new(loop, &fd_ops, state);

	state->is_socket = is_socket;
	s->fd = fd;
	watch_init(&state->in.watch, loop, fd, WATCH_READ, on_ready, &state->in);
	watch_init(&state->out.watch, loop, fd, WATCH_WRITE, on_ready, &state->out);
	return s;
}

struct stream *
stream_from_socket(struct loop *loop, int fd)
{
	return from_fd(loop, fd, true);
}

struct stream *
stream_from_fd(struct loop *loop, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		IGNORE(fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0);
	return from_fd(loop, fd, sys_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
}
