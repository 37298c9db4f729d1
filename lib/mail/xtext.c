/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/xtext.h"

#include "base/arena.h"
#include "base/buf.h"

static bool
is_plain(char c)
{
	return c > 32 && c < 127 && c != '+' && c != '=';
}

struct str
xtext_encode(struct arena *mem, struct str raw)
{
	struct buf *out = buf_new(mem, 3 * raw.len);

	for (size_t i = 0; i < raw.len; i++) {
		if (is_plain(raw.p[i]))
			buf_add_char(out, raw.p[i]);
		else
			buf_printf(out, "+%02X", (unsigned char)raw.p[i]);
	}
	return buf_str(out);
}

/* Only upper case counts (RFC 3461 section 4); -1 for anything else. */
static int
hex_value(char c)
{
	if (char_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
xtext_decode(struct arena *mem, struct str text, struct str *raw_out)
{
	struct buf *out = buf_new(mem, text.len);

	for (size_t i = 0; i < text.len; i++) {
		if (is_plain(text.p[i])) {
			buf_add_char(out, text.p[i]);
			continue;
		}
		if (text.p[i] != '+' || text.len - i < 3 ||
		    hex_value(text.p[i + 1]) < 0 || hex_value(text.p[i + 2]) < 0)
			return false;
		buf_add_char(out, (char)(16 * hex_value(text.p[i + 1]) +
					 hex_value(text.p[i + 2])));
		i += 2;
	}
	*raw_out = buf_str(out);
	return true;
}
