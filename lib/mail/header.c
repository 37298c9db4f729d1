/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/header.h"

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

static const struct header_name names[HEADER_KINDS] = {
#define HEADER(id, text, bits) [HEADER_##id] = {HEADER_##id, STR_INIT(text), bits},
#include "mail/header.def"
#undef HEADER
};

const struct header_name *
header_name_find(struct str name)
{
	for (size_t i = HEADER_OTHER + 1; i < HEADER_KINDS; i++) {
		if (str_ieq(names[i].name, name))
			return &names[i];
	}
	return NULL;
}

const struct header_name *
header_name_get(enum header_kind kind)
{
	ensure(kind > HEADER_OTHER && kind < HEADER_KINDS);
	return &names[kind];
}

size_t
header_name_length(struct str line)
{
	size_t len = 0;
	size_t colon;

	while (len < line.len && line.p[len] > 32 && line.p[len] < 127 &&
	       line.p[len] != ':')
		len++;
	colon = len;
	while (colon < line.len && char_is_blank(line.p[colon]))
		colon++;
	return colon < line.len && line.p[colon] == ':' ? len : 0;
}

bool
header_field_parse(struct str text, struct header_field *out)
{
	size_t len = header_name_length(text);

	if (len == 0)
		return false;
	out->name = str_head(text, len);
	out->value = str_trim(str_skip(text, str_index(text, ':') + 1));
	out->row = header_name_find(out->name);
	return true;
}

struct str
header_unfold(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, text.len);

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\r' && i + 1 < text.len && text.p[i + 1] == '\n')
			continue;
		if (text.p[i] != '\n') {
			buf_add_char(out, text.p[i]);
			continue;
		}
		while (i + 1 < text.len && char_is_space(text.p[i + 1]))
			i++;
		buf_add_char(out, ' ');
	}
	return buf_str(out);
}

struct str
header_fold(struct arena *mem, struct str name, struct str value)
{
	struct buf *out = buf_new(mem, SIZE_MAX / 2);

	buf_add(out, name);
	buf_add_c(out, ": ");
	for (size_t i = 0; i < value.len; i++) {
		buf_add_char(out, value.p[i]);
		if (value.p[i] == '\n' && i + 1 < value.len &&
		    !char_is_blank(value.p[i + 1]))
			buf_add_char(out, '\t');
	}
	return buf_str(out);
}
