/* SPDX-License-Identifier: Apache-2.0 */
#include "table/source.h"

#include "base/arena.h"
#include "base/buf.h"

/* How much of a bad line a complaint quotes. */
enum { QUOTE_MAX = 100 };

void
source_lines_init(struct source_lines *l, struct arena *mem, struct str text)
{
	*l = (struct source_lines){.mem = mem, .rest = text, .next_line = 1};
}

/* Empty, or a comment. */
static bool
is_skipped(struct str line)
{
	struct str text = str_trim_left(line);

	return text.len == 0 || text.p[0] == '#';
}

static bool
is_continuation(struct str line)
{
	return line.len > 0 && char_is_space(line.p[0]);
}

/* A line without its line end; a CR belongs to the line and is trimmed with blanks. */
static struct str
take_line(struct source_lines *l)
{
	size_t end = str_index(l->rest, '\n');
	struct str line = str_head(l->rest, end);

	l->rest = str_skip(l->rest, end + 1);
	l->next_line++;
	return line;
}

/* The next line that counts, left in place: skipped ones are gone. */
static bool
peek_line(struct source_lines *l, struct str *line_out)
{
	while (l->rest.len > 0) {
		struct str line = str_head(l->rest, str_index(l->rest, '\n'));

		if (!is_skipped(line)) {
			*line_out = line;
			return true;
		}
		take_line(l);
	}
	return false;
}

bool
source_lines_next(struct source_lines *l, struct source_line *line_out)
{
	struct str line;
	struct buf *joined = NULL;

	if (!peek_line(l, &line))
		return false;
	line_out->first = line_out->last = l->next_line;
	line_out->too_long = line.len > SOURCE_LINE_MAX;
	line_out->text = line;
	take_line(l);
	/* A continuation of nothing is a line of its own, to be complained of. */
	if (is_continuation(line))
		return true;
	while (peek_line(l, &line) && is_continuation(line)) {
		if (joined == NULL) {
			joined = buf_new(l->mem, SOURCE_LINE_MAX);
			buf_add(joined, line_out->text);
		}
		buf_add(joined, line);
		line_out->last = l->next_line;
		take_line(l);
	}
	if (joined != NULL) {
		line_out->text = buf_str(joined);
		line_out->too_long = !buf_ok(joined);
	}
	return true;
}

/* Length of the key: up to the first blank that is neither quoted nor escaped. False if a
 * quote stays open. */
static bool
key_length(struct str line, size_t *len_out)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < line.len; i++) {
		char c = line.p[i];

		if (c == '\\' && i + 1 < line.len)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (char_is_space(c) && !quoted)
			break;
	}
	*len_out = i;
	return !quoted;
}

enum source_kind
source_parse(const struct source_line *line, bool utf8, struct source_entry *entry_out)
{
	struct source_entry entry;
	size_t len;

	if (line->too_long)
		return SOURCE_TOO_LONG;
	if (str_contains(line->text, '\0'))
		return SOURCE_NUL;
	if (is_continuation(line->text))
		return SOURCE_LEADING_BLANK;
	if (utf8 && !str_is_utf8(line->text))
		return SOURCE_NOT_UTF8;
	if (!key_length(line->text, &len))
		return SOURCE_UNBALANCED;
	entry.key = str_head(line->text, len);
	entry.value = str_trim(str_skip(line->text, len));
	if (entry.value.len == 0)
		return SOURCE_NO_VALUE;
	*entry_out = entry;
	if (str_ends(entry.key, STR(":")))
		return SOURCE_ENTRY_COLON;
	return SOURCE_ENTRY;
}

const char *
source_complaint(struct arena *mem, enum source_kind kind, const char *file,
		 const struct source_line *line)
{
	struct str quote = str_printable(mem, str_head(line->text, QUOTE_MAX), true);
	struct str at = str_printf(mem, "%s, line %d", file, line->first);

	switch (kind) {
	case SOURCE_ENTRY:
		break;
	case SOURCE_ENTRY_COLON:
		return str_printf(mem,
				  "%s: record is in \"key: value\" format; is this an "
				  "alias file?",
				  at.p)
			.p;
	case SOURCE_LEADING_BLANK:
		return str_printf(mem,
				  "%s: logical line must not start with whitespace: "
				  "\"" PRI_STR "\"",
				  file, STR_ARG(quote))
			.p;
	case SOURCE_NOT_UTF8:
		return str_printf(mem,
				  "%s: non-UTF-8 input \"" PRI_STR
				  "\" -- ignoring this line",
				  at.p, STR_ARG(quote))
			.p;
	case SOURCE_UNBALANCED:
		return str_printf(mem,
				  "%s: unbalanced '\"' in '" PRI_STR
				  "' -- ignoring this line",
				  at.p, STR_ARG(quote))
			.p;
	case SOURCE_NO_VALUE:
		return str_printf(mem, "%s: expected format: key whitespace value", at.p)
			.p;
	case SOURCE_NUL:
		return str_printf(mem, "%s: NUL byte in the line -- ignoring this line",
				  at.p)
			.p;
	case SOURCE_TOO_LONG:
		return str_printf(mem, "%s: more than %d bytes -- ignoring this line",
				  at.p, SOURCE_LINE_MAX)
			.p;
	}
	return "";
}
