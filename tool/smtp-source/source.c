/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

/* With its CR LF. */
enum { LINE_BYTES = 80 };

struct str
source_make_body(struct arena *mem, int64_t length)
{
	char *text;
	int64_t lines = 0;

	if (length == 0)
		return STR("Test text, line 1\r\nTest text, line 2\r\n"
			   "Test text, line 3\r\nTest text, line 4\r\n");
	text = arena_alloc(mem, (size_t)length + 2);
	memset(text, 'X', (size_t)length);
	/* All lines but the last begin with a digit that counts. */
	for (int64_t end = LINE_BYTES; end < length; end += LINE_BYTES) {
		lines++;
		text[end - LINE_BYTES] = (char)('0' + lines % 10);
		text[end - 2] = '\r';
		text[end - 1] = '\n';
	}
	text[length] = '\r';
	text[length + 1] = '\n';
	return str_from_mem(text, (size_t)length + 2);
}

struct str
source_stuff(struct arena *mem, struct str file)
{
	/* At worst each byte is a dot and a line. */
	struct buf *b = buf_new(mem, file.len * 4 + 2);
	struct str line;

	while (str_line(&file, &line)) {
		if (str_starts(line, STR(".")))
			buf_add_char(b, '.');
		buf_add(b, line);
		buf_add(b, STR("\r\n"));
	}
	return buf_str(b);
}

struct str
source_recipient(struct arena *mem, const char *to, int64_t number)
{
	if (number == 0)
		return str_from(to);
	return str_printf(mem, "%lld%s", (long long)number, to);
}
