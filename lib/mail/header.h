/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Message header fields (RFC 5322 section 2.2 and 3.6): the names that mean something to
 * a mail system, taking a field apart, folding, and cutting a stream of lines into
 * header fields and body.
 *
 * A field is kept as one text whose lines are separated by a newline, without a final
 * one: "Subject: a\n\tb".
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

enum header_kind {
	HEADER_OTHER,
#define HEADER(id, name, flags) HEADER_##id,
#include "mail/header.def"
#undef HEADER
	HEADER_KINDS,
};

enum {
	HEADER_IS_SENDER = 1u << 0,    /* value is addresses, sender side */
	HEADER_IS_RECIPIENT = 1u << 1, /* value is addresses, recipient side */
	HEADER_EXTRACT = 1u << 2,      /* sendmail -t takes recipients from it */
	HEADER_DROP = 1u << 3,         /* never kept in a message */
	HEADER_RESENT = 1u << 4,
	HEADER_MIME = 1u << 5,
};

struct header_name {
	enum header_kind kind;
	struct str name; /* usual spelling */
	unsigned flags;
};

/* The row of a name, in any case, or NULL for a name we do not know. */
const struct header_name *header_name_find(struct str name);
const struct header_name *header_name_get(enum header_kind kind);

/* Length of the field name when the line starts like a field (`Name:`, also with blanks
 * before the colon), else 0. Does not look at more than the line. */
size_t header_name_length(struct str line);

struct header_field {
	struct str name;  /* without blanks */
	struct str value; /* after the colon, leading blanks and line ends removed */
	const struct header_name *row; /* NULL: unknown name */
};

/* Views of text. False if it does not start like a field. */
bool header_field_parse(struct str text, struct header_field *out);

/* The value on one line: each line break with the blanks after it is one space. */
struct str header_unfold(struct arena *mem, struct str text);

/* "Name: value" for output: each line of the value after the first that does not start
 * with a blank gets a tab. */
struct str header_fold(struct arena *mem, struct str name, struct str value);

/* A field of header_fold() whose lines are one address each: as many share a line as
 * fit. */
struct str header_fill(struct arena *mem, struct str text);

/*
 * The splitter: feed lines without their line end, in order; it says what each begins.
 * The primary header ends at an empty line, or at the first line that is neither a field
 * nor a continuation.
 */
enum header_event {
	HEADER_MORE,     /* taken, nothing finished */
	HEADER_FIELD,    /* a field is finished: header_splitter_field(); the line that
			    was fed is taken as well */
	HEADER_END_LINE, /* the header ended with this empty line */
	HEADER_END_TEXT, /* the header ended without an empty line; this line is the first
			    of the body */
	HEADER_BODY,     /* a line of the body */
};

struct header_splitter {
	struct buf *text;     /* the field being collected */
	struct buf *finished; /* the field that was reported */
	size_t max_bytes;
	bool in_body;
	bool cut; /* some field was longer than max_bytes and lost its end */
};

/* max_bytes: header_size_limit */
void header_splitter_init(struct arena *mem, struct header_splitter *s, size_t max_bytes);

/*
 * Feed one line. Before HEADER_END_LINE or HEADER_END_TEXT the last field must be taken:
 * *field_out is set to it, also on HEADER_FIELD, and is empty otherwise. It is valid
 * until the next call.
 */
enum header_event header_splitter_line(struct header_splitter *s, struct str line,
				       struct str *field_out);

/* More of the line that was fed last, for a line that comes in pieces, when that was
 * HEADER_MORE or HEADER_FIELD. */
void header_splitter_more(struct header_splitter *s, struct str piece);

/* At the end of the input: the last field, or false if there is none. */
bool header_splitter_end(struct header_splitter *s, struct str *field_out);
