/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers, limits and waiting. What a byte goes through below is a layer's business:
 * stream_fd.c, stream_memory.c, TLS. Writing is in stream_write.c.
 */
#include "fiber/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/fiber.h"
#include "fiber/stream_internal.h"

enum { REST_MS = 100 };

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
	panic("no such status: %d", (int)status);
}

/* -- making and ending --------------------------------------------------------- */

static struct stream_layer *
layer_new(struct stream *s, const struct stream_ops *ops, void *state)
{
	struct stream_layer *layer = mem_alloc(sizeof(*layer));

	layer->ops = ops;
	layer->state = state;
	layer->stream = s;
	return layer;
}

struct stream *
stream_new(struct loop *loop, const struct stream_ops *ops, void *state)
{
	struct stream *s = mem_alloc(sizeof(*s));

	s->loop = loop;
	s->deadline_ms = LOOP_FOREVER;
	s->timeout_ms = -1;
	s->fd = -1;
	s->top = s->bottom = layer_new(s, ops, state);
	return s;
}

struct stream_layer *
stream_push(struct stream *s, const struct stream_ops *ops, void *state)
{
	struct stream_layer *layer;

	if (stream_buffered(s) > 0 || stream_unsent(s) > 0)
		panic("layer %s pushed over buffered data", ops->name);
	layer = layer_new(s, ops, state);
	layer->below = s->top;
	s->top = layer;
	return layer;
}

struct stream_layer *
stream_top(struct stream *s)
{
	return s->top;
}

static void
drop_received_fds(struct stream *s)
{
	while (s->fds_count > 0)
		sys_close(s->fds[--s->fds_count]);
}

static void
release(struct stream *s)
{
	while (s->top != NULL) {
		struct stream_layer *layer = s->top;

		layer->ops->close(layer);
		s->top = layer->below;
		mem_free(layer);
	}
	drop_received_fds(s);
	mem_free(s->in);
	mem_free(s->out);
	mem_free(s);
}

void
stream_close(struct stream **stream)
{
	struct stream *s = *stream;

	if (s == NULL)
		return;
	if (stream_flush(s) == STREAM_OK && s->read_status != STREAM_ERROR &&
	    s->top->ops->bye != NULL)
		IGNORE(stream_layer_drive(s, s->top->ops->bye, s->top) != STREAM_OK);
	release(s);
	*stream = NULL;
}

int
stream_detach_fd(struct stream **stream)
{
	struct stream *s = *stream;
	int fd = s->fd;

	if (stream_buffered(s) > 0 || stream_unsent(s) > 0 || s->top != s->bottom)
		panic("descriptor detached from under buffered data or a layer");
	s->fd = -1;
	release(s);
	*stream = NULL;
	return fd;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}

struct loop *
stream_loop(const struct stream *s)
{
	return s->loop;
}

/* -- time ---------------------------------------------------------------------- */

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

int64_t
stream_operation_deadline(const struct stream *s)
{
	int64_t own;

	if (s->loop == NULL || s->timeout_ms < 0)
		return s->deadline_ms;
	own = loop_deadline_ms(s->loop, s->timeout_ms);
	return MIN_OF(own, s->deadline_ms);
}

enum stream_status
stream_wait(struct stream *s, bool for_write, int64_t deadline_ms)
{
	enum stream_status status = STREAM_ERROR;

	if (s->bottom->ops->wait != NULL)
		status = s->bottom->ops->wait(s->bottom, for_write, deadline_ms);
	else
		s->bottom->errnum = EAGAIN;
	if (status == STREAM_ERROR)
		s->errnum = s->bottom->errnum;
	return status;
}

enum stream_status
stream_layer_drive(struct stream *s, enum stream_io (*step)(struct stream_layer *layer),
		   struct stream_layer *layer)
{
	int64_t deadline = stream_operation_deadline(s);

	for (;;) {
		enum stream_io io = step(layer);
		enum stream_status status;

		switch (io) {
		case STREAM_IO_DONE:
			return STREAM_OK;
		case STREAM_IO_EOF:
			return STREAM_EOF;
		case STREAM_IO_ERROR:
			s->errnum = layer->errnum;
			return STREAM_ERROR;
		case STREAM_IO_WANT_READ:
		case STREAM_IO_WANT_WRITE:
			status = stream_wait(s, io == STREAM_IO_WANT_WRITE, deadline);
			if (status != STREAM_OK)
				return status;
			break;
		}
	}
}

/* -- reading ------------------------------------------------------------------- */

struct str
stream_peek(const struct stream *s)
{
	if (s->in == NULL)
		return STR_EMPTY;
	return str_from_mem(s->in + s->in_start, s->in_end - s->in_start);
}

size_t
stream_buffered(const struct stream *s)
{
	return s->in_end - s->in_start;
}

void
stream_consume(struct stream *s, size_t n)
{
	if (n > stream_buffered(s))
		panic("consume %zu of %zu bytes", n, stream_buffered(s));
	s->in_start += n;
}

/* Free what holds nothing, because a wait may be long and the waiting are many. */
static void
drop_empty_buffers(struct stream *s)
{
	if (s->in != NULL && stream_buffered(s) == 0) {
		mem_free(s->in);
		s->in = NULL;
		s->in_size = s->in_start = s->in_end = 0;
	}
	if (s->out != NULL && s->out_len == 0) {
		mem_free(s->out);
		s->out = NULL;
	}
}

/* One attempt to get up to n bytes to p. */
static enum stream_io
try_read(struct stream *s, void *p, size_t n, size_t *got)
{
	enum stream_io io;

	*got = 0;
	io = s->top->ops->read(s->top, p, n, got);
	if (io == STREAM_IO_EOF)
		s->read_status = STREAM_EOF;
	if (io == STREAM_IO_ERROR) {
		s->read_status = STREAM_ERROR;
		s->errnum = s->top->errnum;
	}
	return io;
}

/* How much to ask for: more for a peer who has just filled all that there was. */
static size_t
in_bytes(const struct stream *s)
{
	return s->is_bulk ? (size_t)STREAM_BULK_BYTES : (size_t)STREAM_IN_BYTES;
}

/* Make place for at least `room` more bytes behind in_end. */
static void
make_room(struct stream *s, size_t room)
{
	size_t have = stream_buffered(s);
	size_t need = MAX_OF(mem_size_add(have, room), in_bytes(s));

	if (s->in_size >= need && s->in_size - s->in_end >= room)
		return;
	if (s->in_size >= need) {
		memmove(s->in, s->in + s->in_start, have);
	} else {
		size_t size = MAX_OF(need, s->in_size * 2);
		char *in = mem_realloc(NULL, size);

		if (have > 0)
			memcpy(in, s->in + s->in_start, have);
		mem_free(s->in);
		s->in = in;
		s->in_size = size;
	}
	s->in_start = 0;
	s->in_end = have;
}

/* The stack of a peer that answers at once need not be given back and got again. */
static enum stream_status
wait_and_rest(struct stream *s, bool for_write, int64_t deadline)
{
	int64_t soon = s->rests ? loop_deadline_ms(s->loop, REST_MS) : LOOP_FOREVER;

	if (soon < deadline) {
		enum stream_status status = stream_wait(s, for_write, soon);

		if (status != STREAM_TIMEOUT)
			return status;
		fiber_trim_stack(s->loop);
	}
	s->rests = false;
	return stream_wait(s, for_write, deadline);
}

/* Before a read waits: send what the peer may be waiting for. */
static enum stream_status
wait_for_input(struct stream *s, enum stream_io io, int64_t deadline)
{
	enum stream_status status;

	if (s->out_len > 0 && !s->putting) {
		status = stream_flush(s);
		if (status != STREAM_OK)
			return status;
	}
	drop_empty_buffers(s);
	status = wait_and_rest(s, io == STREAM_IO_WANT_WRITE, deadline);
	if (status == STREAM_ERROR || status == STREAM_CANCELLED)
		s->read_status = status;
	return status;
}

/* More bytes into the buffer, by at least one. */
static enum stream_status
fill(struct stream *s, size_t room, int64_t deadline)
{
	while (s->read_status == STREAM_OK) {
		enum stream_io io;
		enum stream_status status;
		size_t got;

		make_room(s, room);
		io = try_read(s, s->in + s->in_end, s->in_size - s->in_end, &got);
		if (io == STREAM_IO_DONE && got > 0) {
			s->in_end += got;
			s->is_bulk = s->in_end == s->in_size;
			return STREAM_OK;
		}
		if (io == STREAM_IO_WANT_READ || io == STREAM_IO_WANT_WRITE) {
			status = wait_for_input(s, io, deadline);
			if (status != STREAM_OK)
				return status;
		}
	}
	return s->read_status;
}

enum stream_status
stream_fill(struct stream *s)
{
	return fill(s, 1, stream_operation_deadline(s));
}

bool
stream_has_input(struct stream *s)
{
	enum stream_io io;
	size_t got;

	if (stream_buffered(s) > 0 || s->read_status != STREAM_OK)
		return true;
	s->drained = false;
	make_room(s, 1);
	io = try_read(s, s->in + s->in_end, s->in_size - s->in_end, &got);
	s->in_end += got;
	return io != STREAM_IO_WANT_READ && io != STREAM_IO_WANT_WRITE;
}

/* What the buffer says about the next line. */
enum line_state { LINE_COMPLETE, LINE_MORE, LINE_LONG };

/* scanned: bytes known to hold no LF. */
static enum line_state
line_look(struct str have, size_t max_bytes, size_t scanned, size_t *lf_out)
{
	/* A line of max_bytes may be followed by CR LF. */
	size_t window = MIN_OF(have.len, mem_size_add(max_bytes, 2));
	size_t lf = scanned;

	if (window > scanned)
		lf += str_index(str_from_mem(have.p + scanned, window - scanned), '\n');
	if (lf < window) {
		size_t text = lf > 0 && have.p[lf - 1] == '\r' ? lf - 1 : lf;

		*lf_out = lf;
		return text <= max_bytes ? LINE_COMPLETE : LINE_LONG;
	}
	if (have.len >= max_bytes + 2 ||
	    (have.len == max_bytes + 1 && !str_ends(have, STR("\r"))))
		return LINE_LONG;
	return LINE_MORE;
}

static void
take_line(struct stream *s, size_t lf, struct str *line_out)
{
	struct str have = stream_peek(s);
	bool crlf = lf > 0 && have.p[lf - 1] == '\r';

	s->eol = crlf ? STREAM_EOL_CRLF : STREAM_EOL_LF;
	*line_out = str_head(have, crlf ? lf - 1 : lf);
	stream_consume(s, lf + 1);
}

static enum stream_status
take_part(struct stream *s, size_t n, enum stream_status status, struct str *line_out)
{
	struct str have = stream_peek(s);

	s->eol = STREAM_EOL_NONE;
	*line_out = str_head(have, n);
	stream_consume(s, line_out->len);
	return status;
}

enum stream_status
stream_read_line(struct stream *s, size_t max_bytes, struct str *line_out)
{
	int64_t deadline = LOOP_FOREVER;
	size_t scanned = 0;
	bool first = true;

	for (;;) {
		struct str have = stream_peek(s);
		enum stream_status status;
		size_t lf = 0;

		switch (line_look(have, max_bytes, scanned, &lf)) {
		case LINE_COMPLETE:
			take_line(s, lf, line_out);
			return STREAM_OK;
		case LINE_LONG:
			return take_part(s, max_bytes, STREAM_TOO_LONG, line_out);
		case LINE_MORE:
			break;
		}
		scanned = have.len;
		if (first)
			deadline = stream_operation_deadline(s);
		first = false;
		/* Grow by what is there, so that long lines do not cost a copy per
		 * read. */
		status = fill(s, MAX_OF(have.len, (size_t)1), deadline);
		if (status == STREAM_EOF)
			return take_part(s, MIN_OF(stream_buffered(s), max_bytes),
					 STREAM_EOF, line_out);
		if (status != STREAM_OK)
			return status;
	}
}

enum stream_eol
stream_line_end(const struct stream *s)
{
	return s->eol;
}

/* Large reads go past the buffer. */
static enum stream_status
read_direct(struct stream *s, char *p, size_t n, int64_t deadline, size_t *got_out)
{
	while (s->read_status == STREAM_OK) {
		enum stream_status status;
		size_t got;
		enum stream_io io = try_read(s, p, n, &got);

		if (io == STREAM_IO_DONE && got > 0) {
			*got_out = got;
			return STREAM_OK;
		}
		if (io == STREAM_IO_WANT_READ || io == STREAM_IO_WANT_WRITE) {
			status = wait_for_input(s, io, deadline);
			if (status != STREAM_OK)
				return status;
		}
	}
	return s->read_status;
}

static enum stream_status
read_some(struct stream *s, char *p, size_t n, int64_t deadline, size_t *got_out)
{
	enum stream_status status;

	if (stream_buffered(s) == 0 && n >= STREAM_IN_BYTES)
		return read_direct(s, p, n, deadline, got_out);
	if (stream_buffered(s) == 0) {
		status = fill(s, 1, deadline);
		if (status != STREAM_OK)
			return status;
	}
	n = MIN_OF(n, stream_buffered(s));
	memcpy(p, s->in + s->in_start, n);
	stream_consume(s, n);
	*got_out = n;
	return STREAM_OK;
}

enum stream_status
stream_read(struct stream *s, void *p, size_t n, size_t *got_out)
{
	if (n == 0) {
		*got_out = 0;
		return STREAM_OK;
	}
	return read_some(s, p, n, stream_operation_deadline(s), got_out);
}

enum stream_status
stream_read_exact(struct stream *s, void *p, size_t n)
{
	int64_t deadline = stream_operation_deadline(s);
	char *at = p;

	while (n > 0) {
		size_t got = 0;
		enum stream_status status = read_some(s, at, n, deadline, &got);

		if (status != STREAM_OK)
			return status;
		at += got;
		n -= got;
	}
	return STREAM_OK;
}

void
stream_discard_input(struct stream *s)
{
	s->in_start = s->in_end = 0;
	drop_received_fds(s);
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
	s->rests = s->loop != NULL && fiber_current(s->loop) != NULL;
}

/* -- descriptors --------------------------------------------------------------- */

void
stream_accept_fds(struct stream *s)
{
	s->fds_wanted = true;
}

enum stream_status
stream_receive_fd(struct stream *s, int *fd_out)
{
	enum stream_status status;
	char byte = 0;

	s->fds_wanted = true;
	status = stream_read_exact(s, &byte, 1);
	if (status != STREAM_OK)
		return status;
	if (byte != 0 || s->fds_count == 0) {
		s->errnum = EBADMSG;
		s->read_status = STREAM_ERROR;
		return STREAM_ERROR;
	}
	*fd_out = s->fds[0];
	s->fds_count--;
	memmove(s->fds, s->fds + 1, s->fds_count * sizeof(s->fds[0]));
	return STREAM_OK;
}
