/* SPDX-License-Identifier: Apache-2.0 */
#include "config/lines.h"

#include "base/arena.h"

struct lines
lines_start(struct str file)
{
	return (struct lines){.rest = file, .next_line = 1};
}

static bool
is_comment(struct str line)
{
	struct str s = str_trim(line);

	return s.len == 0 || *s.p == '#';
}

/* The next physical line with its newline, not taken. */
static struct str
peek(struct str rest)
{
	return str_head(rest, MIN_OF(str_index(rest, '\n') + 1, rest.len));
}

static void
take(struct lines *at, struct str line)
{
	at->rest = str_skip(at->rest, line.len);
	at->next_line++;
}

static struct str
without_newline(struct str line)
{
	return str_ends(line, STR("\n")) ? str_head(line, line.len - 1) : line;
}

/* Lines that continue the item, and comments only if such a line follows them. */
static void
take_continuations(struct lines *at, struct lines_item *item, struct buf *text)
{
	struct lines ahead = *at;

	while (ahead.rest.len > 0) {
		struct str line = peek(ahead.rest);
		unsigned number = ahead.next_line;

		take(&ahead, line);
		if (is_comment(line))
			continue;
		if (!char_is_space(*line.p))
			break;
		buf_add(text, without_newline(line));
		item->last = number;
		*at = ahead;
	}
}

bool
lines_next(struct arena *mem, struct lines *at, struct lines_item *out)
{
	struct str start = at->rest, line = peek(at->rest);
	struct buf *text;

	if (line.len == 0)
		return false;
	*out = (struct lines_item){.first = at->next_line, .last = at->next_line};
	if (is_comment(line)) {
		out->kind = LINES_SKIPPED;
		while (line.len > 0 && is_comment(line)) {
			out->last = at->next_line;
			take(at, line);
			line = peek(at->rest);
		}
	} else {
		text = buf_new(mem, start.len);
		buf_add(text, without_newline(line));
		take(at, line);
		out->kind = char_is_space(*line.p) ? LINES_STRAY : LINES_TEXT;
		take_continuations(at, out, text);
		out->text = buf_str(text);
		if (out->kind == LINES_TEXT)
			out->text = str_trim_right(out->text);
	}
	out->raw = str_head(start, start.len - at->rest.len);
	return true;
}
