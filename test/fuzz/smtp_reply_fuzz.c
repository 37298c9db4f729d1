/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of a hostile server: bounded, and the same however the bytes arrive.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "smtp/reply.h"

#include "fuzz.h"

enum { REPLIES_MAX = 100000 };

static void
check(struct arena *mem, const struct smtp_reply *reply)
{
	struct str rest = reply->text;
	struct str line;
	size_t n = 0;

	ensure(reply->code == 0 || (reply->code >= 200 && reply->code <= 599));
	ensure(reply->text.len <= REPLY_TEXT_MAX);
	ensure(!str_contains(smtp_reply_one_line(mem, reply), '\n'));
	while (smtp_reply_next_line(&rest, &line))
		ensure(line.len <= REPLY_LINE_MAX && ++n <= REPLY_LINES_MAX);
}

/* All replies after one another. */
static struct str
read_all(struct arena *mem, struct str text, size_t step)
{
	struct buf *told = buf_new(mem, SIZE_MAX / 4);
	struct stream *s = stream_from_memory(text, buf_new(mem, 1000), step);
	enum smtp_reply_result result = REPLY_READ;

	for (size_t n = 0; result == REPLY_READ; n++) {
		struct smtp_reply reply = {.text = STR_EMPTY};
		enum stream_status status;

		ensure(n < REPLIES_MAX);
		result = smtp_reply_read(s, mem, NULL, &reply, &status);
		buf_printf(told, "%d ", (int)result);
		if (result != REPLY_READ)
			break;
		check(mem, &reply);
		buf_printf(told, "%d %s ", reply.code, reply.status.text);
		buf_add(told, reply.text);
		buf_add_char(told, '\n');
	}
	stream_close(&s);
	return buf_str(told);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem(data, size);

	ensure(str_eq(read_all(mem, text, 0), read_all(mem, text, 1)));
	arena_free(&mem);
	return 0;
}
