/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/uxtext.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

enum { CHARACTER_MAX = 0x10FFFF, SURROGATE_MIN = 0xD800, SURROGATE_MAX = 0xDFFF };

static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, char_lower(c), 16);

	return at == NULL ? -1 : (int)(at - digits);
}

/* The digits up to "}"; *text becomes what follows it. */
static bool
read_character(struct str *text, unsigned *out)
{
	unsigned value = 0;
	size_t i = 0;

	for (; i < text->len && text->p[i] != '}'; i++) {
		int digit = hex_value(text->p[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned)digit;
		if (value > CHARACTER_MAX)
			return false;
	}
	if (i == text->len)
		return false;
	*text = str_skip(*text, i + 1);
	*out = value;
	return i > 0 && value >= 32 && value != 127 &&
	       (value < SURROGATE_MIN || value > SURROGATE_MAX);
}

static void
add_character(struct buf *out, unsigned c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_add_char(out, (char)(0xC0 | c >> 6));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xE0 | c >> 12));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
	} else {
		buf_add_char(out, (char)(0xF0 | c >> 18));
		buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
		buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buf_add_char(out, (char)(0x80 | (c & 0x3F)));
}

bool
uxtext_decode(struct arena *mem, struct str text, struct str *raw_out)
{
	struct buf *out = buf_new(mem, text.len);

	while (text.len > 0) {
		unsigned c;

		if (str_starts(text, STR("\\x{"))) {
			text = str_skip(text, 3);
			if (!read_character(&text, &c))
				return false;
			add_character(out, c);
			continue;
		}
		if (!char_is_print(text.p[0]) && (unsigned char)text.p[0] < 0x80)
			return false;
		buf_add_char(out, text.p[0]);
		text = str_skip(text, 1);
	}
	*raw_out = buf_str(out);
	return true;
}

/* The bytes of the character that valid UTF-8 begins with. */
static size_t
character_bytes(unsigned char first)
{
	return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

static bool
is_plain(char c)
{
	return char_is_print(c) && c != ' ' && c != '+' && c != '=' && c != '\\';
}

struct str
uxtext_encode(struct arena *mem, struct str raw)
{
	static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	struct buf *out = buf_new(mem, SIZE_MAX / 4);

	if (!str_is_utf8(raw))
		raw = str_printable(mem, raw, false);
	while (raw.len > 0) {
		size_t n = character_bytes((unsigned char)raw.p[0]);
		unsigned c = (unsigned char)raw.p[0] & first_bits[n];

		for (size_t i = 1; i < n; i++)
			c = c << 6 | ((unsigned char)raw.p[i] & 0x3F);
		if (is_plain(raw.p[0]))
			buf_add_char(out, raw.p[0]);
		else
			buf_printf(out, "\\x{%02X}", c);
		raw = str_skip(raw, n);
	}
	return buf_str(out);
}
