/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another process sends: any bytes as the fields of each message, and as a stream of
 * messages. What was decoded means the same after encoding and decoding it again.
 */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "fiber/stream.h"
#include "ipc/messages.h"

#include "fuzz.h"

static struct str
encode(struct arena *mem, const struct ipc_message *message, const void *value)
{
	struct buf *out = buf_new(mem, 2 * IPC_MESSAGE_MAX);

	ipc_encode(out, message, value);
	ensure(buf_ok(out));
	return buf_str(out);
}

/* Between the name and the final NUL. */
static struct str
fields_of(const struct ipc_message *message, struct str wire)
{
	struct str fields = str_skip(wire, strlen(message->name) + 1);

	return str_head(fields, fields.len - 1);
}

static void
try_message(struct arena *mem, const struct ipc_message *message, struct str text)
{
	void *first = arena_alloc(mem, message->size);
	void *second = arena_alloc(mem, message->size);
	struct str wire;
	struct err err = {0};

	if (!ipc_decode(mem, message, text, first, &err)) {
		ensure(err.text[0] != '\0');
		return;
	}
	ensure(ipc_print(mem, message, first).len > 0);
	wire = encode(mem, message, first);
	ensure(ipc_decode(mem, message, fields_of(message, wire), second, &err));
	ensure(str_eq(encode(mem, message, second), wire));
}

static void
read_stream(struct arena *mem, struct str text, size_t step)
{
	struct buf *out = buf_new(mem, 1 << 20);
	struct stream *s = stream_from_memory(text, out, step);
	const struct ipc_message *which;
	struct ipc ipc;
	struct err err;
	void *value;

	ipc_init(&ipc, s);
	while (ipc_receive_any(&ipc, mem, ipc_all_messages, &which, &value, &err) ==
	       IPC_DONE)
		ensure(ipc_print(mem, which, value).len > 0);
	stream_close(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem(data, size);

	for (size_t i = 0; ipc_all_messages[i] != NULL; i++)
		try_message(mem, ipc_all_messages[i], text);
	read_stream(mem, text, 0);
	read_stream(mem, text, 1);
	arena_free(&mem);
	return 0;
}
