/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records from a user, as postdrop takes them: the same whether they arrive at once or
 * byte by byte, and what is let through is whole records of kinds that a user may write,
 * none of the envelope with a line end in it.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "../../tool/postdrop/drop.h"
#include "fuzz.h"

enum { LINE_LIMIT = 300 };

static enum drop_result
take_all(struct arena *mem, struct str input, bool slowly, struct buf *out)
{
	struct drop d = {.max_length = LINE_LIMIT, .segment = SEGMENT_ENVELOPE};
	size_t have = slowly ? 0 : input.len;
	size_t at = 0;

	for (;;) {
		struct str part = str_from_mem(input.p + at, have - at);
		struct str warning;
		struct err err = {0};
		size_t used = 0;
		enum drop_result result =
			drop_take(mem, &d, part, out, &used, &warning, &err);

		ensure(used <= part.len);
		at += used;
		if (result == DROP_TAKEN) {
			ensure(used > 0);
			continue;
		}
		ensure(result != DROP_REFUSED || err.text[0] != '\0');
		if (result != DROP_MORE || have == input.len)
			return result;
		have++;
	}
}

static void
check(struct str out)
{
	enum record_segment segment = SEGMENT_ENVELOPE;

	while (out.len > 0) {
		struct record r;
		size_t used;

		ensure(record_decode(out, &r, &used) == RECORD_GOT);
		ensure(record_from_user(record_find(r.letter, segment), segment));
		ensure(r.data.len <= LINE_LIMIT);
		if (segment != SEGMENT_CONTENT)
			ensure(!str_contains(r.data, '\n') &&
			       !str_contains(r.data, '\r') &&
			       !str_contains(r.data, '\0'));
		if (r.letter == RECORD_LETTER(MESSAGE))
			segment = SEGMENT_CONTENT;
		else if (r.letter == RECORD_LETTER(EXTRACTED))
			segment = SEGMENT_EXTRACTED;
		out = str_skip(out, used);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct buf *once = buf_new(mem, SIZE_MAX / 4);
	struct buf *bytewise = buf_new(mem, SIZE_MAX / 4);
	struct str input = str_from_mem(data, size);

	if (size < 10000) {
		enum drop_result result = take_all(mem, input, false, once);

		ensure(take_all(mem, input, true, bytewise) == result);
		ensure(str_eq(buf_str(once), buf_str(bytewise)));
		check(buf_str(once));
	}
	arena_free(&mem);
	return 0;
}
