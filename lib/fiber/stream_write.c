/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing half of stream.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "fiber/stream_internal.h"

/* Blocks of stream_writev_through() that go down in one call. */
enum { WRITEV_MAX = 32 };

static enum stream_status
write_failed(struct stream *s, enum stream_status status)
{
	s->write_status = status;
	return status;
}

/* Move (v, count) forward by n bytes; returns the blocks that are left. */
static int
advance(struct iovec **v, int count, size_t n)
{
	while (count > 0 && n >= (*v)->iov_len) {
		n -= (*v)->iov_len;
		(*v)++;
		count--;
	}
	if (count > 0) {
		(*v)->iov_base = (char *)(*v)->iov_base + n;
		(*v)->iov_len -= n;
	}
	return count;
}

/* Write all of it; v is changed. */
static enum stream_status
put_all(struct stream *s, struct iovec *v, int count, int64_t deadline)
{
	count = advance(&v, count, 0);
	while (count > 0) {
		size_t put = 0;
		enum stream_io io = s->top->ops->write(s->top, v, count, &put);
		enum stream_status status;

		switch (io) {
		case STREAM_IO_DONE:
			count = advance(&v, count, put);
			break;
		case STREAM_IO_WANT_READ:
		case STREAM_IO_WANT_WRITE:
			status = stream_wait(s, io == STREAM_IO_WANT_WRITE, deadline);
			if (status != STREAM_OK)
				return write_failed(s, status);
			break;
		case STREAM_IO_EOF:
			s->errnum = EPIPE;
			return write_failed(s, STREAM_ERROR);
		case STREAM_IO_ERROR:
			s->errnum = s->top->errnum;
			return write_failed(s, STREAM_ERROR);
		}
	}
	return STREAM_OK;
}

/*
 * Begin to send, or fail. The reading fiber flushes before it waits, and may still be at
 * it when the writing fiber comes: one after the other, or their bytes would mix.
 */
static enum stream_status
put_begin(struct stream *s, int64_t deadline)
{
	while (s->putting) {
		enum fiber_wake wake;

		if (s->put_waiter != NULL)
			panic("three fibers use one stream");
		s->put_waiter = fiber_current(s->loop);
		wake = fiber_park(s->loop, deadline);
		s->put_waiter = NULL;
		if (wake == FIBER_TIMEOUT)
			return write_failed(s, STREAM_TIMEOUT);
		if (wake == FIBER_CANCELLED)
			return write_failed(s, STREAM_CANCELLED);
	}
	s->putting = s->write_status == STREAM_OK;
	return s->write_status;
}

static void
put_end(struct stream *s)
{
	s->putting = false;
	if (s->put_waiter != NULL)
		fiber_unpark(s->put_waiter);
}

/* Send the buffered output, then the blocks. The buffer is taken off the stream
 * meanwhile, because the other fiber may add to it. */
static enum stream_status
put_buffered_and(struct stream *s, const struct iovec *v, size_t count)
{
	int64_t deadline = stream_operation_deadline(s);
	enum stream_status status = put_begin(s, deadline);
	struct iovec part[WRITEV_MAX];
	char *buffered;
	int n = 0;

	if (status != STREAM_OK)
		return status;
	buffered = s->out;
	if (s->out_len > 0)
		part[n++] = (struct iovec){buffered, s->out_len};
	s->out = NULL;
	s->out_len = 0;
	while (status == STREAM_OK && (count > 0 || n > 0)) {
		for (; count > 0 && n < WRITEV_MAX; count--)
			part[n++] = *v++;
		status = put_all(s, part, n, deadline);
		n = 0;
	}
	if (s->out == NULL)
		s->out = buffered;
	else
		mem_free(buffered);
	put_end(s);
	return status;
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out_len;
}

void
stream_discard_output(struct stream *s)
{
	s->out_len = 0;
}

enum stream_status
stream_flush(struct stream *s)
{
	if (s->write_status != STREAM_OK) {
		s->out_len = 0;
		return s->write_status;
	}
	if (s->out_len == 0 && !s->putting)
		return STREAM_OK;
	return put_buffered_and(s, NULL, 0);
}

enum stream_status
stream_write(struct stream *s, struct str data)
{
	struct iovec v = {(void *)(uintptr_t)data.p, data.len};

	if (s->write_status != STREAM_OK)
		return s->write_status;
	if (data.len > STREAM_OUT_BYTES - s->out_len) {
		if (data.len >= STREAM_OUT_BYTES)
			return stream_writev_through(s, &v, 1);
		if (stream_flush(s) != STREAM_OK)
			return s->write_status;
	}
	if (data.len == 0)
		return STREAM_OK;
	if (s->out == NULL)
		s->out = mem_realloc(NULL, STREAM_OUT_BYTES);
	memcpy(s->out + s->out_len, data.p, data.len);
	s->out_len += data.len;
	return STREAM_OK;
}

enum stream_status
stream_printf(struct stream *s, const char *format, ...)
{
	char small[512];
	char *big = NULL;
	enum stream_status status;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(small, sizeof(small), format, ap);
	va_end(ap);
	if (n < 0) {
		s->errnum = EINVAL;
		return write_failed(s, STREAM_ERROR);
	}
	if ((size_t)n < sizeof(small))
		return stream_write(s, str_from_mem(small, (size_t)n));
	big = mem_alloc((size_t)n + 1);
	va_start(ap, format);
	IGNORE(vsnprintf(big, (size_t)n + 1, format, ap) < 0);
	va_end(ap);
	status = stream_write(s, str_from_mem(big, (size_t)n));
	mem_free(big);
	return status;
}

enum stream_status
stream_writev_through(struct stream *s, const struct iovec *v, size_t count)
{
	if (s->write_status != STREAM_OK)
		return s->write_status;
	return put_buffered_and(s, v, count);
}

enum stream_status
stream_shutdown(struct stream *s, int how)
{
	if (how != SHUT_RD && stream_flush(s) != STREAM_OK)
		return s->write_status;
	if (s->fd < 0 || sys_shutdown(s->fd, how) == 0)
		return STREAM_OK;
	s->errnum = errno;
	return STREAM_ERROR;
}

static enum stream_status
send_fd(struct stream *s, int fd, int64_t deadline)
{
	for (;;) {
		enum stream_io io = stream_fd_send(s, fd);
		enum stream_status status;

		if (io == STREAM_IO_DONE)
			return STREAM_OK;
		if (io != STREAM_IO_WANT_WRITE)
			return write_failed(s, STREAM_ERROR);
		status = stream_wait(s, true, deadline);
		if (status != STREAM_OK)
			return write_failed(s, status);
	}
}

enum stream_status
stream_send_fd(struct stream *s, int fd)
{
	int64_t deadline = stream_operation_deadline(s);
	enum stream_status status = stream_flush(s);

	if (status == STREAM_OK)
		status = put_begin(s, deadline);
	if (status != STREAM_OK)
		return status;
	status = send_fd(s, fd, deadline);
	put_end(s);
	return status;
}
