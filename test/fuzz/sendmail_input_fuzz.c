/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail's standard input: the first byte chooses how it is read, the rest is read.
 * Pieces keep to the limit, and put together again they are the input but for what is
 * meant to go: CR before LF, the mbox line, what follows a lone dot.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/panic.h"

#include "../../tool/sendmail/input.h"
#include "fuzz.h"

enum { DOT_ENDS = 4, SHORT_LINES = 8, LIMIT = 2048, SHORT_LIMIT = 5 };

static const enum line_endings endings[] = {LINE_ENDINGS_ALWAYS, LINE_ENDINGS_STRICT,
					    LINE_ENDINGS_NEVER, LINE_ENDINGS_NEVER};

static struct str
read_all(struct arena *mem, struct input *in)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 4);
	enum input_result result;
	struct str text;
	struct err err;

	while ((result = input_next(in, &text, &err)) == INPUT_LINE ||
	       result == INPUT_PART) {
		ensure(text.len <= in->limit && !str_contains(text, '\n'));
		buf_add(out, text);
		if (result == INPUT_LINE)
			buf_add_char(out, '\n');
	}
	ensure(result == INPUT_END && input_next(in, &text, &err) == INPUT_END);
	return buf_str(out);
}

/* Every byte that came out was in the input, in this order. */
static void
check(struct str in, struct str out)
{
	size_t i = 0;

	for (size_t k = 0; k < out.len; k++, i++) {
		while (i < in.len && in.p[i] != out.p[k])
			i++;
		ensure(i < in.len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem;
	struct input in;
	struct str text, out;
	unsigned how;
	int fd;

	if (size == 0)
		return 0;
	how = data[0];
	text = str_from_mem(data + 1, size - 1);
	fd = memfd_create("input", MFD_CLOEXEC);
	ensure(fd >= 0 && write(fd, text.p, text.len) == (ssize_t)text.len);
	ensure(lseek(fd, 0, SEEK_SET) == 0);
	mem = arena_new();
	input_init(mem, &in, fd, (how & SHORT_LINES) != 0 ? SHORT_LIMIT : LIMIT,
		   endings[how % ARRAY_LEN(endings)], (how & DOT_ENDS) != 0);
	out = read_all(mem, &in);
	check(text, out);
	if (endings[how % ARRAY_LEN(endings)] == LINE_ENDINGS_NEVER &&
	    (how & DOT_ENDS) == 0)
		ensure(str_ends(text, out));
	arena_free(&mem);
	close(fd);
	return 0;
}
