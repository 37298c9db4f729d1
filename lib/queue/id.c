/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/id.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

enum { USEC_DIGITS = 4, SECONDS_DIGITS = 6, USEC_HEX = 5, NUMBER_MAX = 20 };

/* No vowels, so that no words come out; base 51 leaves out the final z, which separates.
 */
static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static void
add_number(struct buf *out, uint64_t value, unsigned base, size_t min_digits)
{
	char text[NUMBER_MAX];
	size_t n = 0;

	do {
		text[n++] = digits[value % base];
		value /= base;
	} while (value > 0);
	while (n < min_digits)
		text[n++] = '0';
	while (n > 0)
		buf_add_char(out, text[--n]);
}

static bool
read_number(struct str text, unsigned base, uint64_t *out)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char *at = memchr(digits, text.p[i], base);

		if (at == NULL || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(at - digits), &value))
			return false;
	}
	*out = value;
	return true;
}

struct str
queue_id_make(struct arena *mem, bool is_long, int64_t time_us, uint64_t inode)
{
	struct buf *out;

	if (!is_long)
		return str_printf(mem, "%05X%" PRIX64, (unsigned)(time_us % 1000000),
				  inode);
	out = buf_new(mem, QUEUE_ID_MAX);
	add_number(out, (uint64_t)(time_us / 1000000), 52, SECONDS_DIGITS);
	add_number(out, (uint64_t)(time_us % 1000000), 52, USEC_DIGITS);
	buf_add_char(out, 'z');
	add_number(out, inode, 51, 1);
	return buf_str(out);
}

bool
queue_id_is_valid(struct str id)
{
	if (id.len == 0 || id.len > QUEUE_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (!char_is_alnum(id.p[i]) && id.p[i] != '_')
			return false;
	}
	return true;
}

/* The place of the separating z, or id.len: long ids have it behind the time. */
static size_t
separator(struct str id)
{
	size_t at = str_rindex(id, 'z');

	return at < id.len && at >= SECONDS_DIGITS + USEC_DIGITS ? at : id.len;
}

bool
queue_id_is_long(struct str id)
{
	return separator(id) < id.len;
}

bool
queue_id_inode(struct str id, uint64_t *inode_out)
{
	size_t z = separator(id);
	uint64_t value = 0;

	if (z < id.len)
		return read_number(str_skip(id, z + 1), 51, inode_out);
	if (id.len <= USEC_HEX)
		return false;
	for (size_t i = USEC_HEX; i < id.len; i++) {
		static const char hex[] = "0123456789ABCDEF";
		const char *at = memchr(hex, id.p[i], 16);

		if (at == NULL || value > UINT64_MAX >> 4)
			return false;
		value = value << 4 | (uint64_t)(at - hex);
	}
	*inode_out = value;
	return true;
}

struct str
queue_id_for_inode(struct arena *mem, struct str id, uint64_t inode, bool want_long,
		   bool match_long)
{
	size_t z = separator(id);
	struct buf *out;
	uint64_t usec;

	if (!queue_id_is_valid(id))
		return STR_EMPTY;
	if (z == id.len)
		return id.len <= USEC_HEX
			       ? STR_EMPTY
			       : str_printf(mem, PRI_STR "%" PRIX64,
					    STR_ARG(str_head(id, USEC_HEX)), inode);
	if (!read_number(str_head(str_skip(id, z - USEC_DIGITS), USEC_DIGITS), 52, &usec))
		return STR_EMPTY;
	if (!want_long)
		return str_printf(mem, "%05X%" PRIX64, (unsigned)usec, inode);
	if (!match_long)
		return id;
	out = buf_new(mem, QUEUE_ID_MAX);
	buf_add(out, str_head(id, z + 1));
	add_number(out, inode, 51, 1);
	return buf_ok(out) ? buf_str(out) : STR_EMPTY;
}

struct str
queue_id_hash_path(struct arena *mem, struct str id, int depth)
{
	struct buf *out = buf_new(mem, 64);
	size_t z = separator(id);
	struct str source = id;
	uint64_t usec;

	if (z < id.len &&
	    read_number(str_head(str_skip(id, z - USEC_DIGITS), USEC_DIGITS), 52, &usec))
		source = str_printf(mem, "%05X", (unsigned)usec);
	for (int i = 0; i < depth && i < 16; i++) {
		/* An id that is too short for the depth is padded as Postfix pads it. */
		buf_add_char(out, (size_t)i < source.len ? source.p[i] : '_');
		buf_add_char(out, '/');
	}
	return buf_str(out);
}
