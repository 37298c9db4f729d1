/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/base64.h"

#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/mem.h"

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str
base64_encode(struct arena *mem, struct str raw)
{
	size_t len = mem_size_mul((raw.len + 2) / 3, 4);
	char *out = arena_alloc(mem, mem_size_add(len, 1));
	char *at = out;

	for (size_t i = 0; i < raw.len; i += 3) {
		size_t n = MIN_OF(raw.len - i, (size_t)3);
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)raw.p[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			*at++ = k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=';
	}
	return str_from_mem(out, len);
}

/* How many of the four are data: 2, 3 or 4; 0 if the group is wrong. */
static size_t
decode_group(const char *in, bool last, uint32_t *value_out)
{
	uint32_t v = 0;
	size_t n = 0;

	for (; n < 4; n++) {
		const char *at = in[n] == '\0' ? NULL : strchr(alphabet, in[n]);

		if (at == NULL)
			break;
		v = v << 6 | (uint32_t)(at - alphabet);
	}
	for (size_t k = n; k < 4; k++) {
		if (in[k] != '=' || !last || n < 2)
			return 0;
		v <<= 6;
	}
	*value_out = v;
	return n;
}

bool
base64_decode(struct arena *mem, struct str text, struct str *raw_out)
{
	char *out = arena_alloc(mem, mem_size_add(text.len / 4 * 3, 1));
	size_t len = 0;

	if (text.len % 4 != 0)
		return false;
	for (size_t i = 0; i < text.len; i += 4) {
		uint32_t v;
		size_t n = decode_group(text.p + i, i + 4 == text.len, &v);

		if (n == 0)
			return false;
		for (size_t k = 0; k + 1 < n; k++)
			out[len++] = (char)(v >> (16 - 8 * k) & 255);
		/* Bits that are in no byte must be zero: one text for each value. */
		if ((n == 2 && (v & 0xffff) != 0) || (n == 3 && (v & 0xff) != 0))
			return false;
	}
	*raw_out = str_from_mem(out, len);
	return true;
}
