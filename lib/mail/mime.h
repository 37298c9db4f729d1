/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The structure of a MIME message (RFC 2045, 2046), line by line.
 *
 * The parser is fed the text lines of a message in order and reports header fields,
 * where a header ends, and body lines, through callbacks, byte for byte as they came.
 * It keeps a stack of open multiparts with a limit and the field being collected;
 * nothing else, so memory does not grow with the message. Problems do not stop it: they
 * are collected in a mask, and the caller decides.
 *
 * A line may come in pieces: all but the last with whole = false.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct header_name;

enum mime_header_class {
	MIME_HEADER_PRIMARY,   /* of the message itself */
	MIME_HEADER_MULTIPART, /* of a body part */
	MIME_HEADER_NESTED,    /* of an attached message */
};

/* What the parser does beyond telling headers from bodies. */
enum {
	MIME_OFF = 1u << 0, /* disable_mime_input_processing: one header, then
			       body to the end */
	MIME_REPORT_8BIT_HEADER = 1u << 1,     /* strict_7bit_headers */
	MIME_REPORT_8BIT_BODY = 1u << 2,       /* strict_8bitmime_body */
	MIME_REPORT_ENCODING_DOMAIN = 1u << 3, /* strict_mime_encoding_domain */
	MIME_REPORT_NESTING = 1u << 4,
	MIME_REPORT_TRUNCATION = 1u << 5,
	MIME_DOWNGRADE = 1u << 6, /* 8-bit bodies become quoted-printable; the encoding
				     fields are changed accordingly */
};

enum {
	MIME_PROBLEM_NESTING = 1u << 0,
	MIME_PROBLEM_TRUNCATED_HEADER = 1u << 1,
	MIME_PROBLEM_8BIT_IN_HEADER = 1u << 2,
	MIME_PROBLEM_8BIT_IN_BODY = 1u << 3, /* in a body said to be 7bit */
	MIME_PROBLEM_ENCODING_DOMAIN = 1u << 4,
};

struct mime_problem {
	unsigned bit;
	const char *dsn;  /* enhanced status code */
	const char *text; /* as users know it from Postfix's log */
};
/* The most serious one of a mask, or NULL for 0. */
const struct mime_problem *mime_problem_find(unsigned mask);

struct mime_limits {
	size_t header_bytes;   /* header_size_limit */
	size_t nesting;        /* mime_nesting_limit */
	size_t boundary_bytes; /* mime_boundary_length_limit */
};

struct mime_events {
	/* A field is complete: lines separated by newlines, no final one. row is NULL for
	 * an unknown name. */
	void (*header)(void *arg, enum mime_header_class which,
		       const struct header_name *row, struct str text);
	/* The primary header ended; before its first body line. Always called once. */
	void (*header_end)(void *arg);
	/* A body line, or a piece of one; also the empty line between header and body,
	 * boundaries, and all that follows the primary header except nested fields. */
	void (*body)(void *arg, struct str line, bool whole);
	/* The message ended. */
	void (*body_end)(void *arg);
};

struct mime;

/* Lives in the arena. events and limits are copied. */
struct mime *mime_new(struct arena *mem, unsigned options,
		      const struct mime_limits *limits, const struct mime_events *events,
		      void *arg);

/* Both return the problems found so far. */
unsigned mime_line(struct mime *m, struct str line, bool whole);
unsigned mime_end(struct mime *m);

/* True if a byte above 127 was seen in a body. */
bool mime_has_8bit(const struct mime *m);
