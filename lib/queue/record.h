/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Records: one type byte, the length of the payload in groups of seven bits (lowest
 * first, high bit set while more follow), the payload. Queue files and the sockets to
 * cleanup and from sendmail to postdrop consist of them. What types there are, where they
 * may stand and what they are called is in record.def, and only there.
 *
 * Reading has a sticky error: once a record was damaged every further read fails. A
 * payload points into the reader's buffer and lives until the next read. Nothing is
 * allocated for a length that the input does not really have.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum record_letter {
#define RECORD(N, letter, label, segments, submitter) REC_##N = (letter),
#include "queue/record.def"
#undef RECORD
};

/* The three parts of a queue file, in order. */
enum record_segment { SEGMENT_ENVELOPE, SEGMENT_CONTENT, SEGMENT_EXTRACTED };

enum {
	RECORD_PAYLOAD_MAX = 16 << 20, /* bytes; longer ones are damage */
	RECORD_LENGTH_BYTES_MAX = 5,
	RECORD_NUMBER_WIDTH = 15, /* numbers that are rewritten in place: %15ld */
	RECORD_REVERSE_MAX = 100, /* pointers towards the beginning in one pass */
};

/* What postcat calls the type in that part; "unknown_record_type" if it is none. A
 * letter that is unknown in this part has its name from another one. */
const char *record_label(char letter, enum record_segment segment);
/* May a finished queue file have it there? */
bool record_is_legal(char letter, enum record_segment segment);
/* Does postdrop take it there from a sender without privilege? */
bool record_is_submittable(char letter, enum record_segment segment);

struct record {
	char type;
	struct str data;
	int64_t offset; /* of the type byte, from the beginning of file or memory */
};

enum record_source { RECORD_FROM_FILE, RECORD_FROM_STREAM, RECORD_FROM_MEMORY };

struct record_reader {
	enum record_source source;
	int fd;
	struct buf data;   /* what was read ahead; unused for memory */
	struct str window; /* bytes at hand that are not consumed */
	int64_t at;        /* offset of window.p[0] */
	int64_t limit;     /* largest payload taken */
	unsigned reverse;  /* pointers followed towards the beginning */
	bool ended;        /* end of input on a record boundary */
	bool failed;
	struct err err; /* why, once failed */
};

/* A file, read with pread() from offset on; the descriptor stays the caller's. */
void record_reader_file(struct record_reader *r, int fd, int64_t offset);
/* A pipe or socket, read with read(). */
void record_reader_stream(struct record_reader *r, int fd);
/* Bytes in memory that outlive the reader. */
void record_reader_memory(struct record_reader *r, struct str data);
void record_reader_release(struct record_reader *r);

/* Take no payload above max_bytes (default and ceiling RECORD_PAYLOAD_MAX). */
void record_reader_limit(struct record_reader *r, int64_t max_bytes);

/* The next record as it stands. False at the end of input (r->ended) or after an error
 * (r->failed, r->err: ERR_TEMP reading failed, ERR_PERM damaged). */
bool record_read(struct record_reader *r, struct record *out) MUST_CHECK;
/* The same, but a pointer record with an offset other than 0 is followed and not
 * returned; more than RECORD_REVERSE_MAX jumps back are an error. */
bool record_read_linked(struct record_reader *r, struct record *out) MUST_CHECK;
/* Continue at offset; not for streams. An error stays. */
void record_reader_seek(struct record_reader *r, int64_t offset);
/* Offset of the record that the next call returns. */
int64_t record_reader_tell(const struct record_reader *r);
/* Mark as failed because a record that was read is not acceptable. Always false. */
bool record_reader_fail(struct record_reader *r, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Append a record. A payload above RECORD_PAYLOAD_MAX sets the buffer's mark. */
void record_put(struct buf *b, char type, struct str data);
void record_printf(struct buf *b, char type, const char *format, ...) PRINTF_LIKE(3, 4);
/* A line of content without its newline: an N record, preceded by L records where it is
 * longer than limit bytes. */
void record_put_line(struct buf *b, struct str line, size_t limit);

/* The value of a number record: blanks, then decimal digits with an optional sign. */
bool record_number(struct str data, int64_t *out) MUST_CHECK;
