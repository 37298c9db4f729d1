/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

void
reader_init(struct reader *r, struct str data)
{
	*r = (struct reader){.rest = data};
}

void
reader_fail(struct reader *r)
{
	r->failed = true;
	r->rest = STR_EMPTY;
}

struct str
reader_bytes(struct reader *r, size_t n)
{
	struct str s;

	if (r->failed || n > r->rest.len) {
		reader_fail(r);
		return STR_EMPTY;
	}
	s = str_head(r->rest, n);
	r->rest = str_skip(r->rest, n);
	r->offset += n;
	return s;
}

/* n bytes, most significant first. */
static uint32_t
number(struct reader *r, size_t n)
{
	struct str s = reader_bytes(r, n);
	uint32_t value = 0;

	for (size_t i = 0; i < s.len; i++)
		value = value << 8 | (unsigned char)s.p[i];
	return value;
}

uint8_t
reader_u8(struct reader *r)
{
	return (uint8_t)number(r, 1);
}

uint16_t
reader_u16(struct reader *r)
{
	return (uint16_t)number(r, 2);
}

uint32_t
reader_u32(struct reader *r)
{
	return number(r, 4);
}

struct str
reader_until(struct reader *r, char end)
{
	size_t at = str_index(r->rest, end);
	struct str s;

	if (r->failed || at == r->rest.len) {
		reader_fail(r);
		return STR_EMPTY;
	}
	s = reader_bytes(r, at);
	reader_bytes(r, 1);
	return s;
}

bool
reader_at_end(const struct reader *r)
{
	return r->rest.len == 0;
}

bool
reader_ok(const struct reader *r)
{
	return !r->failed;
}
