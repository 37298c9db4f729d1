/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream over memory: input that is there from the beginning, output into a buffer.
 * Never waits.
 */
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"

#include "fiber/stream_internal.h"

struct memory_state {
	struct str input;
	struct buf *output; /* NULL: thrown away */
	size_t step;        /* bytes per read or write; 0: no limit */
};

static enum stream_io
memory_read(struct stream_layer *layer, void *p, size_t n, size_t *got_out)
{
	struct memory_state *m = layer->state;
	size_t take = MIN_OF(n, m->input.len);

	if (take == 0)
		return STREAM_IO_EOF;
	if (m->step > 0)
		take = MIN_OF(take, m->step);
	memcpy(p, m->input.p, take);
	m->input = str_skip(m->input, take);
	*got_out = take;
	return STREAM_IO_DONE;
}

static enum stream_io
memory_write(struct stream_layer *layer, const struct iovec *v, int count,
	     size_t *put_out)
{
	struct memory_state *m = layer->state;
	size_t put = 0;

	for (int i = 0; i < count; i++) {
		size_t n = v[i].iov_len;

		if (m->step > 0)
			n = MIN_OF(n, m->step - put);
		if (m->output != NULL)
			buf_add(m->output, str_from_mem(v[i].iov_base, n));
		put += n;
		if (n < v[i].iov_len)
			break;
	}
	*put_out = put;
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
	struct memory_state *m = mem_alloc(sizeof(*m));

	*m = (struct memory_state){.input = input, .output = output, .step = step};
	return stream_new(NULL, &memory_ops, m);
}
