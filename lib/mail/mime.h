/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The structure of a MIME message (RFC 2045, 2046), line by line, and its conversion to
 * seven bits on the way (RFC 6152: for a server without 8BITMIME).
 *
 * The parser is fed the text lines of a message in order and reports header fields, where
 * the header ends, and body lines through callbacks, byte for byte as they came. It keeps
 * a stack of open multiparts, with a limit, and the field being collected; nothing else,
 * so memory does not grow with the message. Problems do not stop it: they are collected
 * in a mask, and the caller decides.
 *
 * A line may come in pieces: all but the last with whole = false.
 *
 *	PRIMARY ──┐                    ┌──────────────── "--boundary" ───────┐
 *	          ├─ end of header ─► BODY ─ "--boundary--": one level up    │
 *	NESTED ───┤   │                ▲                                     │
 *	MULTIPART ┘   └ message/rfc822: NESTED      MULTIPART ◄──────────────┘
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
	MIME_OFF = 1u << 0, /* disable_mime_input_processing: one header, then body */
	MIME_DOWNGRADE = 1u << 1, /* 8-bit bodies become quoted-printable, and the
				     encoding fields say so */
};

enum {
	MIME_PROBLEM_NESTING = 1u << 0,
	MIME_PROBLEM_TRUNCATED_HEADER = 1u << 1,
	MIME_PROBLEM_8BIT_IN_HEADER = 1u << 2,
	MIME_PROBLEM_8BIT_IN_BODY = 1u << 3,    /* in a body that is said to be 7bit */
	MIME_PROBLEM_ENCODING_DOMAIN = 1u << 4, /* multipart or message with an encoding
						   that is not 7bit, 8bit or binary */
};

struct mime_problem {
	unsigned bit;
	const char *status; /* enhanced status code */
	const char *text;   /* as people know it from the log */
};

/* The most serious one of a mask, or NULL for 0. */
const struct mime_problem *mime_problem_find(unsigned mask);

struct mime_limits {
	size_t header_bytes; /* header_size_limit */
	size_t nesting;      /* mime_nesting_limit; two more are taken, as Postfix does */
	size_t boundary_bytes; /* mime_boundary_length_limit */
};

struct mime_events {
	/* A field is complete: lines separated by newlines, no final one. row is NULL for
	 * an unknown name. */
	void (*header)(void *arg, enum mime_header_class which,
		       const struct header_name *row, struct str text);
	/* The primary header ended; before its first body line. Always called once. */
	void (*header_end)(void *arg);
	/* Any header has ended, of the message or a part: what follows is its body. May
	 * be NULL. */
	void (*part)(void *arg);
	/* A problem was met for the first time, with what it was found in: a field, a
	 * line, an encoding. May be NULL. */
	void (*problem)(void *arg, unsigned bit, struct str where);
	/* A body line, or a piece of one: all that follows the primary header except the
	 * fields of nested headers, with the empty lines that end headers. A primary
	 * header that ends at a text line without an empty one gets it. */
	void (*body)(void *arg, struct str line, bool whole);
};

struct mime;

/* Lives in the arena. Limits and events are copied. */
struct mime *mime_new(struct arena *mem, unsigned options,
		      const struct mime_limits *limits, const struct mime_events *events,
		      void *arg);

/* Both return the problems found so far. */
unsigned mime_line(struct mime *m, struct str line, bool whole);
/* No more lines. A field or header that is still open ends. */
unsigned mime_end(struct mime *m);

/* True if a byte above 127 was seen in header or body. */
bool mime_has_8bit(const struct mime *m);
