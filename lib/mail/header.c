/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/header.h"

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"

static const struct header_name names[] = {
#define HEADER(id, name, flags) {HEADER_##id, STR_INIT(name), (flags)},
#include "mail/header.def"
#undef HEADER
};

enum { FILL_COLUMNS = 70 };

const struct header_name *
header_name_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_ieq(name, names[i].name))
			return &names[i];
	}
	return NULL;
}

const struct header_name *
header_name_get(enum header_kind kind)
{
	ensure(kind > HEADER_OTHER && kind < HEADER_KINDS);
	return &names[kind - 1];
}

size_t
header_name_length(struct str line)
{
	size_t n = 0;
	size_t colon;

	while (n < line.len && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
		n++;
	colon = n;
	while (colon < line.len && char_is_blank(line.p[colon]))
		colon++;
	return n > 0 && colon < line.len && line.p[colon] == ':' ? n : 0;
}

bool
header_field_parse(struct str text, struct header_field *out)
{
	size_t n = header_name_length(text);

	if (n == 0)
		return false;
	out->name = str_head(text, n);
	out->value = str_trim(str_skip(text, str_index(text, ':') + 1));
	out->row = header_name_find(out->name);
	return true;
}

struct str
header_unfold(struct arena *mem, struct str text)
{
	char *out = arena_alloc(mem, text.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\n') {
			out[n++] = text.p[i];
			continue;
		}
		while (i + 1 < text.len && char_is_space(text.p[i + 1]))
			i++;
		out[n++] = ' ';
	}
	return str_from_mem(out, n);
}

struct str
header_fold(struct arena *mem, struct str name, struct str value)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 4);
	struct str rest = value;
	struct str line;
	bool first = true;

	buf_printf(out, PRI_STR ":", STR_ARG(name));
	while (str_line(&rest, &line)) {
		if (!first)
			buf_add_char(out, '\n');
		if (first)
			buf_add_char(out, ' ');
		else if (line.len == 0 || !char_is_blank(line.p[0]))
			buf_add_char(out, '\t');
		buf_add(out, line);
		first = false;
	}
	return buf_str(out);
}

struct str
header_fill(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 4);
	size_t column = 0;
	struct str line;

	while (str_line(&text, &line)) {
		struct str words = str_trim(line);

		if (column > 0 && column + 1 + words.len < FILL_COLUMNS) {
			buf_add_char(out, ' ');
			line = words;
			column++;
		} else if (column > 0) {
			buf_add_char(out, '\n');
			column = 0;
		}
		buf_add(out, line);
		column += line.len;
	}
	return buf_str(out);
}

/* ---- splitter ---- */

void
header_splitter_init(struct arena *mem, struct header_splitter *s, size_t max_bytes)
{
	*s = (struct header_splitter){.max_bytes = max_bytes};
	s->text = buf_new(mem, max_bytes);
	s->finished = buf_new(mem, max_bytes);
}

/* Append to the field as much as there is room for. */
void
header_splitter_more(struct header_splitter *s, struct str piece)
{
	size_t room = s->max_bytes - s->text->len;

	if (piece.len > room)
		s->cut = true;
	buf_add(s->text, str_head(piece, room));
}

static void
collect(struct header_splitter *s, struct str line)
{
	if (s->text->len > 0 && s->text->len < s->max_bytes)
		buf_add_char(s->text, '\n');
	header_splitter_more(s, line);
}

/* The collected field becomes the finished one. */
static struct str
finish(struct header_splitter *s)
{
	struct buf *field = s->text;

	s->text = s->finished;
	s->finished = field;
	buf_clear(s->text);
	return buf_str(field);
}

enum header_event
header_splitter_line(struct header_splitter *s, struct str line, struct str *field_out)
{
	bool collecting = s->text->len > 0;

	*field_out = STR_EMPTY;
	if (s->in_body)
		return HEADER_BODY;
	if (collecting && line.len > 0 && char_is_blank(line.p[0])) {
		collect(s, line);
		return HEADER_MORE;
	}
	if (header_name_length(line) > 0) {
		if (collecting)
			*field_out = finish(s);
		collect(s, line);
		return collecting ? HEADER_FIELD : HEADER_MORE;
	}
	if (collecting)
		*field_out = finish(s);
	s->in_body = true;
	return line.len == 0 ? HEADER_END_LINE : HEADER_END_TEXT;
}

bool
header_splitter_end(struct header_splitter *s, struct str *field_out)
{
	if (s->text->len == 0)
		return false;
	*field_out = finish(s);
	return true;
}
