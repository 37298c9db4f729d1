/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str
base64_encode(struct arena *mem, struct str raw)
{
	struct buf *out = buf_new(mem, raw.len / 3 * 4 + 4);

	for (size_t i = 0; i < raw.len; i += 3) {
		size_t n = MIN_OF(raw.len - i, (size_t)3);
		uint32_t bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (unsigned char)raw.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(out,
				     k <= n ? alphabet[bits >> (18 - 6 * k) & 63] : '=');
	}
	return buf_str(out);
}

static bool
decode_group(const char *group, size_t chars, uint32_t *bits_out)
{
	uint32_t bits = 0;

	for (size_t k = 0; k < 4; k++) {
		const char *at = NULL;

		if (k < chars) {
			at = memchr(alphabet, group[k], 64);
			if (at == NULL)
				return false;
		}
		bits = bits << 6 | (at == NULL ? 0 : (uint32_t)(at - alphabet));
	}
	*bits_out = bits;
	/* What the padding cuts off must be zero: one text per value. */
	return chars == 4 || (bits & (chars == 3 ? 0xffu : 0xffffu)) == 0;
}

bool
base64_decode(struct arena *mem, struct str text, struct str *raw_out)
{
	struct buf *out = buf_new(mem, text.len / 4 * 3);
	uint32_t bits = 0;

	if (text.len % 4 != 0)
		return false;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t chars = 4;

		if (i + 4 == text.len && text.p[i + 3] == '=')
			chars = text.p[i + 2] == '=' ? 2 : 3;
		if (!decode_group(text.p + i, chars, &bits))
			return false;
		for (size_t k = 0; k + 1 < chars; k++)
			buf_add_char(out, (char)(bits >> (16 - 8 * k) & 255));
	}
	*raw_out = buf_str(out);
	return true;
}
