/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/stream.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"

#include "fiber/fiber.h"
#include "fiber/stream_internal.h"

enum { IN_MAX = INT_MAX, IOV_MAX_USED = 64 };

const char *
stream_status_name(enum stream_status status)
{
	switch (status) {
	case STREAM_OK:
		return "ok";
	case STREAM_EOF:
		return "end of input";
	case STREAM_TIMEOUT:
		return "timeout";
	case STREAM_ERROR:
		return "error";
	case STREAM_TOO_LONG:
		return "line too long";
	case STREAM_CANCELLED:
		return "cancelled";
	}
	return "unknown";
}

/* ---- making and ending ---- */

static struct stream_layer *
layer_new(struct stream *s, const struct stream_ops *ops, void *state,
	  struct stream_layer *below)
{
	struct stream_layer *layer = mem_alloc(sizeof(*layer));

	*layer = (struct stream_layer){
		.ops = ops, .state = state, .below = below, .stream = s};
	return layer;
}

struct stream *
stream_new(struct loop *loop, const struct stream_ops *ops, void *state)
{
	struct stream *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->fd = -1;
	s->deadline_ms = LOOP_FOREVER;
	s->timeout_ms = -1;
	buf_init(&s->in, IN_MAX);
	buf_init(&s->out, IN_MAX);
	s->bottom = s->top = layer_new(s, ops, state, NULL);
	return s;
}

struct stream_layer *
stream_push(struct stream *s, const struct stream_ops *ops, void *state)
{
	ensure(stream_buffered(s) == 0 && s->out.len == 0);
	s->top = layer_new(s, ops, state, s->top);
	return s->top;
}

struct stream_layer *
stream_top(struct stream *s)
{
	return s->top;
}

static void
drop_fds(struct stream *s)
{
	for (size_t i = 0; i < s->received.n; i++)
		close(s->received.fds[i]);
	s->received.n = 0;
}

static void
free_all(struct stream *s)
{
	while (s->top != NULL) {
		struct stream_layer *layer = s->top;

		s->top = layer->below;
		if (layer->ops->close != NULL)
			layer->ops->close(layer);
		mem_free(layer);
	}
	drop_fds(s);
	buf_release(&s->in);
	buf_release(&s->out);
	mem_free(s);
}

void
stream_close(struct stream **stream)
{
	struct stream *s = *stream;

	if (s == NULL)
		return;
	*stream = NULL;
	if (s->out.len > 0 && s->write_status == STREAM_OK)
		IGNORE(stream_flush(s) != STREAM_OK);
	for (struct stream_layer *l = s->top; l != NULL && s->write_status == STREAM_OK;
	     l = l->below) {
		if (l->ops->bye != NULL)
			IGNORE(stream_layer_drive(s, l->ops->bye, l) != STREAM_OK);
	}
	free_all(s);
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}

int
stream_detach_fd(struct stream **stream)
{
	struct stream *s = *stream;
	int fd = s->fd;

	ensure(s->top == s->bottom && stream_buffered(s) == 0 && s->out.len == 0);
	s->fd = -1;
	*stream = NULL;
	free_all(s);
	return fd;
}

struct loop *
stream_loop(const struct stream *s)
{
	return s->loop;
}

/* ---- time ---- */

void
stream_set_deadline_ms(struct stream *s, int64_t deadline_ms)
{
	s->deadline_ms = deadline_ms;
}

void
stream_set_timeout_ms(struct stream *s, int64_t timeout_ms)
{
	s->timeout_ms = timeout_ms;
}

int
stream_errno(const struct stream *s)
{
	return s->errnum;
}

/* When an operation that begins now must be done. */
static int64_t
limit_of(const struct stream *s)
{
	if (s->loop == NULL)
		return LOOP_FOREVER;
	return MIN_OF(s->deadline_ms, loop_deadline_ms(s->loop, s->timeout_ms));
}

/* ---- driving layers ---- */

/* What an unfinished step asks for: wait at the bottom. */
static enum stream_status
wait_for(struct stream *s, enum stream_io io, int64_t limit_ms)
{
	if (s->bottom->ops->wait == NULL)
		return STREAM_ERROR;
	return s->bottom->ops->wait(s->bottom, io == STREAM_IO_WANT_WRITE, limit_ms);
}

static enum stream_status
failed(struct stream *s, const struct stream_layer *layer)
{
	s->errnum = layer->errnum;
	return STREAM_ERROR;
}

enum stream_status
stream_layer_drive(struct stream *s, enum stream_io (*step)(struct stream_layer *layer),
		   struct stream_layer *layer)
{
	int64_t limit_ms = limit_of(s);

	for (;;) {
		enum stream_io io = step(layer);
		enum stream_status status;

		if (io == STREAM_IO_DONE)
			return STREAM_OK;
		if (io == STREAM_IO_EOF)
			return STREAM_EOF;
		if (io == STREAM_IO_ERROR)
			return failed(s, layer);
		status = wait_for(s, io, limit_ms);
		if (status != STREAM_OK)
			return status;
	}
}

/* ---- reading ---- */

struct str
stream_peek(const struct stream *s)
{
	return str_skip(buf_str(&s->in), s->in_start);
}

size_t
stream_buffered(const struct stream *s)
{
	return s->in.len - s->in_start;
}

void
stream_consume(struct stream *s, size_t n)
{
	ensure(n <= stream_buffered(s));
	s->in_start += n;
	if (s->in_start == s->in.len) {
		s->in_start = 0;
		buf_clear(&s->in);
	}
}

/* Make room for more input: move what is there to the front. */
static char *
room(struct stream *s, size_t n)
{
	if (s->in_start > 0) {
		buf_consume(&s->in, s->in_start);
		s->in_start = 0;
	}
	return buf_reserve(&s->in, n);
}

/* One step of reading into the buffer. */
static enum stream_io
read_step(struct stream *s)
{
	char *at = room(s, STREAM_IN_BYTES);
	size_t got = 0;
	enum stream_io io;

	if (at == NULL) {
		s->top->errnum = EMSGSIZE;
		return STREAM_IO_ERROR;
	}
	io = s->top->ops->read(s->top, at, STREAM_IN_BYTES, &got);
	if (io == STREAM_IO_DONE)
		buf_commit(&s->in, got);
	return io;
}

/* Before a read waits: send what the peer may be waiting for (unless another fiber is at
 * it), and give the memory of empty buffers back. */
static enum stream_status
wait_for_input(struct stream *s, enum stream_io io, int64_t limit_ms)
{
	if (s->out.len > 0 && !s->writing) {
		enum stream_status status = stream_flush(s);

		if (status != STREAM_OK)
			return status;
	}
	if (io == STREAM_IO_WANT_READ && s->loop != NULL)
		stream_idle(s);
	return wait_for(s, io, limit_ms);
}

static enum stream_status
fill_until(struct stream *s, int64_t limit_ms)
{
	if (s->read_status != STREAM_OK)
		return s->read_status;
	for (;;) {
		enum stream_io io = read_step(s);
		enum stream_status status;

		if (io == STREAM_IO_DONE)
			return STREAM_OK;
		if (io == STREAM_IO_EOF)
			return s->read_status = STREAM_EOF;
		if (io == STREAM_IO_ERROR)
			return s->read_status = failed(s, s->top);
		status = wait_for_input(s, io, limit_ms);
		if (status == STREAM_CANCELLED || status == STREAM_ERROR)
			s->read_status = status;
		if (status != STREAM_OK)
			return status;
	}
}

enum stream_status
stream_fill(struct stream *s)
{
	return fill_until(s, limit_of(s));
}

bool
stream_has_input(struct stream *s)
{
	if (stream_buffered(s) > 0 || s->read_status != STREAM_OK)
		return true;
	switch (read_step(s)) {
	case STREAM_IO_DONE:
		return true;
	case STREAM_IO_EOF:
		s->read_status = STREAM_EOF;
		return true;
	case STREAM_IO_ERROR:
		s->read_status = failed(s, s->top);
		return true;
	case STREAM_IO_WANT_READ:
	case STREAM_IO_WANT_WRITE:
		break;
	}
	return false;
}

enum stream_status
stream_read(struct stream *s, void *p, size_t n, size_t *got_out)
{
	size_t take;

	if (stream_buffered(s) == 0) {
		enum stream_status status = stream_fill(s);

		if (status != STREAM_OK)
			return status;
	}
	take = MIN_OF(n, stream_buffered(s));
	memcpy(p, stream_peek(s).p, take);
	stream_consume(s, take);
	*got_out = take;
	return STREAM_OK;
}

enum stream_status
stream_read_exact(struct stream *s, void *p, size_t n)
{
	int64_t limit_ms = limit_of(s);
	size_t done = 0;

	while (done < n) {
		size_t take = MIN_OF(n - done, stream_buffered(s));

		if (take == 0) {
			enum stream_status status = fill_until(s, limit_ms);

			if (status != STREAM_OK)
				return status;
			continue;
		}
		memcpy((char *)p + done, stream_peek(s).p, take);
		stream_consume(s, take);
		done += take;
	}
	return STREAM_OK;
}

/* Views must outlive the consuming: the bytes stay in the buffer until the next read
 * moves them, so only the start is advanced. */
static struct str
take_view(struct stream *s, size_t len, size_t consume)
{
	struct str view = str_head(stream_peek(s), len);

	s->in_start += consume;
	return view;
}

enum stream_status
stream_read_line(struct stream *s, size_t max_bytes, struct str *line_out)
{
	int64_t limit_ms = limit_of(s);
	size_t looked = 0;

	s->eol = STREAM_EOL_NONE;
	for (;;) {
		struct str have = stream_peek(s);
		size_t at = looked + str_index(str_skip(have, looked), '\n');
		enum stream_status status;

		if (at < have.len) {
			bool cr = at > 0 && have.p[at - 1] == '\r';
			size_t len = at - cr;

			if (len <= max_bytes) {
				s->eol = cr ? STREAM_EOL_CRLF : STREAM_EOL_LF;
				*line_out = take_view(s, len, at + 1);
				return STREAM_OK;
			}
		}
		/* One more byte may be the CR of a line that just fits. */
		if (MIN_OF(at, have.len) > max_bytes + 1 || (at < have.len)) {
			*line_out = take_view(s, max_bytes, max_bytes);
			return STREAM_TOO_LONG;
		}
		looked = have.len;
		status = fill_until(s, limit_ms);
		if (status == STREAM_EOF)
			*line_out = take_view(s, stream_buffered(s), stream_buffered(s));
		if (status != STREAM_OK)
			return status;
	}
}

enum stream_eol
stream_line_end(const struct stream *s)
{
	return s->eol;
}

/* ---- writing ---- */

static enum stream_status
write_failed(struct stream *s, enum stream_status status)
{
	s->write_status = status;
	return status;
}

/* Move everything in v through the top layer. */
static enum stream_status
write_all(struct stream *s, struct iovec *v, int count)
{
	int64_t limit_ms = limit_of(s);

	while (count > 0) {
		size_t put = 0;
		enum stream_io io = s->top->ops->write(s->top, v, count, &put);
		enum stream_status status;

		if (io == STREAM_IO_ERROR || io == STREAM_IO_EOF)
			return write_failed(s, failed(s, s->top));
		if (io == STREAM_IO_DONE) {
			while (count > 0 && put >= v->iov_len) {
				put -= v->iov_len;
				v++;
				count--;
			}
			if (count > 0) {
				v->iov_base = (char *)v->iov_base + put;
				v->iov_len -= put;
			}
			continue;
		}
		status = wait_for(s, io, limit_ms);
		if (status != STREAM_OK)
			return write_failed(s, status);
	}
	return STREAM_OK;
}

enum stream_status
stream_flush(struct stream *s)
{
	struct iovec v = {.iov_base = s->out.p, .iov_len = s->out.len};
	enum stream_status status;

	if (s->write_status != STREAM_OK)
		return s->write_status;
	if (s->out.len == 0)
		return STREAM_OK;
	s->writing = true;
	status = write_all(s, &v, 1);
	s->writing = false;
	if (status == STREAM_OK)
		buf_clear(&s->out);
	return status;
}

enum stream_status
stream_write(struct stream *s, struct str data)
{
	if (s->write_status != STREAM_OK)
		return s->write_status;
	if (s->out.len + data.len > STREAM_OUT_BYTES && s->out.len > 0) {
		enum stream_status status = stream_flush(s);

		if (status != STREAM_OK)
			return status;
	}
	if (data.len > STREAM_OUT_BYTES) {
		struct iovec v = {.iov_base = (void *)(uintptr_t)data.p,
				  .iov_len = data.len};

		return write_all(s, &v, 1);
	}
	buf_add(&s->out, data);
	return STREAM_OK;
}

enum stream_status
stream_printf(struct stream *s, const char *format, ...)
{
	va_list ap;

	if (s->write_status != STREAM_OK)
		return s->write_status;
	va_start(ap, format);
	buf_vprintf(&s->out, format, ap);
	va_end(ap);
	return s->out.len > STREAM_OUT_BYTES ? stream_flush(s) : STREAM_OK;
}

enum stream_status
stream_writev_through(struct stream *s, const struct iovec *v, size_t count)
{
	enum stream_status status = stream_flush(s);

	while (status == STREAM_OK && count > 0) {
		struct iovec some[IOV_MAX_USED];
		size_t n = MIN_OF(count, ARRAY_LEN(some));

		memcpy(some, v, n * sizeof(*v));
		status = write_all(s, some, (int)n);
		v += n;
		count -= n;
	}
	return status;
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out.len;
}

/* ---- forgetting ---- */

void
stream_discard_input(struct stream *s)
{
	s->in_start = 0;
	buf_clear(&s->in);
	drop_fds(s);
}

void
stream_discard_output(struct stream *s)
{
	buf_clear(&s->out);
}

void
stream_discard_buffers(struct stream *s)
{
	stream_discard_input(s);
	stream_discard_output(s);
}

void
stream_idle(struct stream *s)
{
	if (stream_buffered(s) == 0) {
		s->in_start = 0;
		buf_shrink(&s->in);
	}
	if (s->out.len == 0)
		buf_shrink(&s->out);
}
