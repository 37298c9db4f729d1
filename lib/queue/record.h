/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Records, the elements of queue files and of the streams that make them: a type byte, a
 * length in groups of seven bits (least significant first, the high bit says that more
 * follow), the data. Rows in record.def.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf;

enum record_type {
#define RECORD(name, letter, segments, text) RECORD_##name,
#include "queue/record.def"
#undef RECORD
	RECORD_TYPES
};

enum record_segment {
	SEGMENT_ENVELOPE,
	SEGMENT_CONTENT,
	SEGMENT_EXTRACTED,
	SEGMENT_OVER
};

/* Letters of the rows, as constants. */
enum record_letter {
#define RECORD(name, letter, segments, text) RECORD_LETTER_##name = (letter),
#include "queue/record.def"
#undef RECORD
};
#define RECORD_LETTER(name) ((char)RECORD_LETTER_##name)
/* What postcat calls it. */
const char *record_name(enum record_type type);

/* The row for a letter in a segment; RECORD_TYPES if there is none. */
enum record_type record_find(char letter, enum record_segment segment);
/* May a user's postdrop send it there? */
bool record_from_user(enum record_type type, enum record_segment segment);

enum {
	RECORD_DATA_MAX =
		1 << 20,     /* we read no longer one; cleanup cuts lines well before */
	RECORD_HEAD_MAX = 6, /* type byte and length */
};

struct record {
	char letter;
	struct str data; /* valid until the next read */
	int64_t offset;  /* of its type byte */
};

void record_encode(struct buf *out, char letter, struct str data);

enum record_result {
	RECORD_GOT,
	RECORD_CUT, /* the input ends in the middle (a stream: wait; a file: damage) */
	RECORD_NO_MORE, /* the input ends before it */
	RECORD_BAD,     /* a length that cannot be */
};

/* Take one record off the front of input: *used_out bytes. */
enum record_result record_decode(struct str input, struct record *out, size_t *used_out);

/* ---- reading a file ---- */

enum { RECORD_READER_BYTES = 16384 };

/* A buffered reader over a descriptor, by pread: the descriptor's own position does not
 * matter. */
struct record_reader {
	int fd;
	int64_t offset;  /* of the next record */
	struct buf *buf; /* what was read: starts at buf_offset */
	int64_t buf_offset;
};

void record_reader_init(struct record_reader *r, int fd, struct buf *space);
void record_reader_seek(struct record_reader *r, int64_t offset);
/* RECORD_CUT: the file ends in the middle of a record. A read error fails with
 * RECORD_BAD and err. */
enum record_result record_reader_next(struct record_reader *r, struct record *out,
				      struct err *err);
