/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SMTP replies as a client reads them (RFC 5321 section 4.2): one or more lines with the
 * same code, joined into one text. Tolerant where servers are sloppy and bounded where
 * they are hostile: lines without a code are kept in the text and otherwise skipped, as
 * Postfix does, and what matters is the code of the line that ends the reply.
 */

#include "base/str.h"

#include "fiber/stream.h"
#include "mail/dsn.h"

struct arena;

enum {
	REPLY_LINE_MAX = 2048,  /* bytes kept of a line; the rest is thrown away */
	REPLY_LINES_MAX = 512,  /* more lines are no reply */
	REPLY_TEXT_MAX = 65536, /* bytes kept of all lines */
};

struct smtp_reply {
	int code; /* 200..599; 0: the last line has a number that is none */
	struct dsn_status status; /* the enhanced code, or CODE's class and .0.0 */
	struct str text;          /* "250-first\n250 last", as it came, without CR */
};

enum smtp_filter_result { FILTER_KEEP, FILTER_REPLACE, FILTER_FAILED };

/* Changes lines before they are understood (smtp_reply_filter); out lives in mem. */
struct smtp_reply_filter {
	enum smtp_filter_result (*line)(void *arg, struct arena *mem, struct str line,
					struct str *out);
	void *arg;
};

enum smtp_reply_result {
	REPLY_READ,
	REPLY_BAD, /* too many lines, or no code of RFC 5321; the text is the last line */
	REPLY_FILTER_FAILED, /* what it means is not known */
	REPLY_LOST,          /* the stream failed: *stream_out says how */
};

/* Read one reply; time limits are the stream's. text in the arena. filter may be NULL. */
enum smtp_reply_result smtp_reply_read(struct stream *s, struct arena *mem,
				       const struct smtp_reply_filter *filter,
				       struct smtp_reply *reply_out,
				       enum stream_status *stream_out) MUST_CHECK;

/* "250 2.0.0 Ok": lines joined by blanks, as logs and reports show a reply. */
struct str smtp_reply_one_line(struct arena *mem, const struct smtp_reply *reply);

/* Walk the lines of an EHLO reply without code and separator: rest starts as reply->text.
 */
bool smtp_reply_next_line(struct str *rest, struct str *line_out);
