/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/xtext.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"

static const char hex[] = "0123456789ABCDEF";

static bool
is_plain(char c)
{
	return c > 32 && c < 127 && c != '+' && c != '=';
}

struct str
xtext_encode(struct arena *mem, struct str raw)
{
	char *out = arena_alloc(mem, mem_size_add(mem_size_mul(raw.len, 3), 1));
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (is_plain(raw.p[i])) {
			out[n++] = raw.p[i];
			continue;
		}
		out[n++] = '+';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return str_from_mem(out, n);
}

bool
xtext_decode(struct arena *mem, struct str text, struct str *raw_out)
{
	char *out = arena_alloc(mem, mem_size_add(text.len, 1));
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		const char *high;
		const char *low;

		if (is_plain(text.p[i])) {
			out[n++] = text.p[i];
			continue;
		}
		if (text.p[i] != '+' || i + 2 >= text.len)
			return false;
		high = memchr(hex, text.p[i + 1], 16);
		low = memchr(hex, text.p[i + 2], 16);
		if (high == NULL || low == NULL)
			return false;
		out[n++] = (char)((high - hex) << 4 | (low - hex));
		i += 2;
	}
	*raw_out = str_from_mem(out, n);
	return true;
}
