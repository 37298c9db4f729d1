/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/record.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/panic.h"
#include "base/sys.h"

static const struct {
	char letter;
	const char *segments;
	const char *name;
} rows[] = {
#define RECORD(name, letter, segments, text) [RECORD_##name] = {letter, segments, text},
#include "queue/record.def"
#undef RECORD
};

static const char segment_letters[] = {[SEGMENT_ENVELOPE] = 'E',
				       [SEGMENT_CONTENT] = 'C',
				       [SEGMENT_EXTRACTED] = 'X',
				       [SEGMENT_OVER] = '\0'};

const char *
record_name(enum record_type type)
{
	return rows[type].name;
}

enum record_type
record_find(char letter, enum record_segment segment)
{
	char wanted = segment_letters[segment];

	if (wanted == '\0')
		return RECORD_TYPES;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].letter == letter && strchr(rows[i].segments, wanted) != NULL)
			return (enum record_type)i;
	}
	return RECORD_TYPES;
}

bool
record_from_user(enum record_type type, enum record_segment segment)
{
	char wanted = segment_letters[segment];

	return wanted != '\0' && strchr(rows[type].segments, char_lower(wanted)) != NULL;
}

void
record_encode(struct buf *out, char letter, struct str data)
{
	size_t length = data.len;
	size_t head = 2;
	size_t n = 0;
	char *at;

	ensure(data.len <= RECORD_DATA_MAX);
	for (size_t rest = length >> 7; rest > 0; rest >>= 7)
		head++;
	at = buf_reserve(out, head + data.len);
	if (at == NULL)
		return;
	at[n++] = letter;
	do {
		unsigned group = length & 0x7f;

		length >>= 7;
		at[n++] = (char)(length > 0 ? group | 0x80 : group);
	} while (length > 0);
	if (data.len > 0)
		memcpy(at + n, data.p, data.len);
	buf_commit(out, n + data.len);
}

enum record_result
record_decode(struct str input, struct record *out, size_t *used_out)
{
	uint64_t length = 0;
	size_t at = 1;
	unsigned char c;

	if (input.len == 0)
		return RECORD_NO_MORE;
	for (unsigned shift = 0;; shift += 7) {
		if (shift > 28)
			return RECORD_BAD;
		if (at >= input.len)
			return RECORD_CUT;
		c = (unsigned char)input.p[at++];
		length |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0)
			break;
	}
	if (length > RECORD_DATA_MAX)
		return RECORD_BAD;
	if (length > input.len - at)
		return RECORD_CUT;
	out->letter = input.p[0];
	out->data = str_head(str_skip(input, at), length);
	*used_out = at + length;
	return RECORD_GOT;
}

void
record_reader_init(struct record_reader *r, int fd, struct buf *space)
{
	*r = (struct record_reader){.fd = fd, .buf = space};
	buf_clear(space);
}

void
record_reader_seek(struct record_reader *r, int64_t offset)
{
	r->offset = offset;
}

/* What we have from the current offset on. */
static struct str
available(const struct record_reader *r)
{
	int64_t skip = r->offset - r->buf_offset;

	if (skip < 0 || skip > (int64_t)r->buf->len)
		return STR_EMPTY;
	return str_skip(buf_str(r->buf), (size_t)skip);
}

/* Get more bytes behind those we have; 0 at the end of the file. */
static ssize_t
read_more(struct record_reader *r)
{
	struct str have = available(r);
	ssize_t n;
	char *at;

	if (have.len == 0)
		buf_clear(r->buf);
	else
		buf_consume(r->buf, r->buf->len - have.len);
	r->buf_offset = r->offset;
	at = buf_reserve(r->buf, RECORD_READER_BYTES);
	if (at == NULL) {
		errno = EFBIG;
		return -1;
	}
	do {
		n = sys_pread(r->fd, at, RECORD_READER_BYTES,
			      r->offset + (int64_t)r->buf->len);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_commit(r->buf, (size_t)n);
	return n;
}

static enum record_result
take_record(struct record_reader *r, struct record *record, size_t used,
	    struct record *out)
{
	record->offset = r->offset;
	r->offset += (int64_t)used;
	*out = *record;
	return RECORD_GOT;
}

/* For `return bad(err_set(...))`. */
static enum record_result
bad(bool failure)
{
	IGNORE(failure);
	return RECORD_BAD;
}

enum record_result
record_reader_next(struct record_reader *r, struct record *out, struct err *err)
{
	for (;;) {
		struct record record = {0};
		size_t used;
		enum record_result result = record_decode(available(r), &record, &used);
		ssize_t n;

		if (result == RECORD_GOT)
			return take_record(r, &record, used, out);
		if (result == RECORD_BAD)
			return bad(err_set(err, ERR_PERM, "impossible record length"));
		n = read_more(r);
		if (n == 0)
			return result;
		if (n < 0)
			return bad(err_errno(err, ERR_TEMP, "read"));
	}
}
