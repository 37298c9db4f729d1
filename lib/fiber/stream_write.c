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
#include "base/sys.h"
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

enum stream_status
stream_put(struct stream *s, struct iovec *v, int count)
{
	int64_t deadline = stream_operation_deadline(s);

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
	struct iovec v = {s->out, s->out_len};

	if (s->write_status != STREAM_OK) {
		s->out_len = 0;
		return s->write_status;
	}
	if (s->out_len == 0)
		return STREAM_OK;
	IGNORE(stream_put(s, &v, 1) != STREAM_OK);
	s->out_len = 0;
	return s->write_status;
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
		s->out = mem_alloc(STREAM_OUT_BYTES);
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
	struct iovec part[WRITEV_MAX];
	int n = 0;

	if (s->write_status != STREAM_OK)
		return s->write_status;
	if (s->out_len > 0)
		part[n++] = (struct iovec){s->out, s->out_len};
	while (count > 0 || n > 0) {
		for (; count > 0 && n < WRITEV_MAX; count--)
			part[n++] = *v++;
		if (stream_put(s, part, n) != STREAM_OK)
			break;
		n = 0;
	}
	s->out_len = 0;
	return s->write_status;
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

enum stream_status
stream_send_fd(struct stream *s, int fd)
{
	int64_t deadline = stream_operation_deadline(s);

	if (stream_flush(s) != STREAM_OK)
		return s->write_status;
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
