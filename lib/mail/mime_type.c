/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/mime_type.h"

#include "base/arena.h"
#include "base/buf.h"

/* Blanks, line ends and comments. Nested comments are counted, not recursed into. */
static struct str
skip_blanks(struct str s)
{
	size_t depth = 0;

	while (s.len > 0) {
		char c = s.p[0];

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0)
			s = str_skip(s, 1);
		else if (depth == 0 && !char_is_space(c))
			break;
		s = str_skip(s, 1);
	}
	return s;
}

static struct str
take_quoted(struct arena *mem, struct str *rest)
{
	struct buf *out = buf_new(mem, rest->len);
	size_t i = 1;

	for (; i < rest->len && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->len)
			i++;
		if (rest->p[i] != '\n' && rest->p[i] != '\r')
			buf_add_char(out, rest->p[i]);
	}
	*rest = str_skip(*rest, i + 1);
	return buf_str(out);
}

/* A word, a quoted string, or one special byte; empty at the end. May be a view. */
static struct str
take(struct arena *mem, struct str *rest)
{
	struct str s = skip_blanks(*rest);
	struct str word;
	size_t len = 0;

	*rest = s;
	if (s.len > 0 && s.p[0] == '"')
		return take_quoted(mem, rest);
	while (len < s.len && !char_is_space(s.p[len]) &&
	       !str_contains(STR("()<>@,;:\\\"/[]?="), s.p[len]))
		len++;
	word = str_head(s, len > 0 ? len : 1);
	*rest = str_skip(s, word.len);
	return word;
}

static enum mime_type
type_of(struct str type, struct str subtype)
{
	if (str_ieq(type, STR("text")))
		return MIME_TYPE_TEXT;
	if (str_ieq(type, STR("multipart")))
		return str_ieq(subtype, STR("digest")) ? MIME_TYPE_DIGEST
						       : MIME_TYPE_MULTIPART;
	if (!str_ieq(type, STR("message")))
		return MIME_TYPE_OTHER;
	return str_ieq(subtype, STR("rfc822")) || str_ieq(subtype, STR("global"))
		       ? MIME_TYPE_MESSAGE
		       : MIME_TYPE_MESSAGE_PART;
}

struct mime_content
mime_content_parse(struct arena *mem, struct str value)
{
	struct str rest = value;
	struct str type = take(mem, &rest);
	struct str subtype = STR_EMPTY;
	struct str word = take(mem, &rest);
	struct mime_content content = {.boundary = STR_EMPTY};

	if (str_eq(word, STR("/")))
		subtype = take(mem, &rest);
	content.type = type_of(type, subtype);
	while (rest.len > 0 && content.boundary.len == 0) {
		if (!str_eq(take(mem, &rest), STR(";")))
			continue;
		if (!str_ieq(take(mem, &rest), STR("boundary")))
			continue;
		if (str_eq(take(mem, &rest), STR("=")))
			content.boundary = str_dup(mem, take(mem, &rest));
	}
	return content;
}

enum mime_encoding
mime_encoding_parse(struct arena *mem, struct str value)
{
	struct str rest = value;
	struct str word = take(mem, &rest);

	if (word.len == 0 || str_ieq(word, STR("7bit")))
		return MIME_7BIT;
	if (str_ieq(word, STR("8bit")))
		return MIME_8BIT;
	return str_ieq(word, STR("binary")) ? MIME_BINARY : MIME_ENCODED;
}
