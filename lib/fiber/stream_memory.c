/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottom layer of tests and fuzzers: input from a string, output to a buffer. Nothing
 * ever waits.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "fiber/stream.h"

struct memory_state {
	struct str input;
	struct buf *output;
	size_t step;
};

static enum stream_io
memory_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct memory_state *state = layer->state;

	n = MIN_OF(n, state->input.len);
	if (state->step > 0)
		n = MIN_OF(n, state->step);
	if (n == 0)
		return STREAM_IO_EOF;
	memcpy(p, state->input.p, n);
	state->input = str_skip(state->input, n);
	*got_out = n;
	return STREAM_IO_DONE;
}

static enum stream_io
memory_write(struct stream_layer *layer, const struct iovec *v, int count,
	     size_t *put_out)
{
	struct memory_state *state = layer->state;

	(void)count;
	if (state->output != NULL) {
		buf_add(state->output, str_from_mem(v->iov_base, v->iov_len));
		if (!buf_ok(state->output)) {
			layer->errnum = ENOSPC;
			return STREAM_IO_ERROR;
		}
	}
	*put_out = v->iov_len;
	return STREAM_IO_DONE;
}

static void
memory_close(struct stream_layer *layer)
{
	mem_free(layer->state);
}

static const struct stream_ops memory_ops = {
	.name = "memory",
	.read = memory_read,
	.write = memory_write,
	.close = memory_close,
};

struct stream *
stream_from_memory(struct str input, struct buf *output, size_t step)
{
	struct memory_state *state = mem_alloc(sizeof(*state));

	*state = (struct memory_state){.input = input, .output = output, .step = step};
	return stream_new(NULL, &memory_ops, state);
}
