/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads the message from a descriptor as lines: mends line ends, drops the mbox line
 * ("From ...") at the beginning, ends at a line of a dot if wanted. A line longer than
 * the limit comes in pieces.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;

enum line_endings {
	LINE_ENDINGS_ALWAYS, /* CR before LF is removed */
	LINE_ENDINGS_STRICT, /* if the first line has it */
	LINE_ENDINGS_NEVER,
};

struct input {
	int fd;
	size_t limit; /* line_length_limit */
	enum line_endings endings;
	bool dot_ends;
	struct buf *data;
	size_t used;   /* bytes of data that the last call returned */
	bool at_end;   /* of the descriptor */
	bool started;  /* past the mbox lines */
	bool decided;  /* the first line was seen (strict) */
	bool in_line;  /* the last piece did not end its line */
	bool finished; /* nothing more comes */
};

void input_init(struct arena *mem, struct input *in, int fd, size_t limit,
		enum line_endings endings, bool dot_ends);

enum input_result {
	INPUT_LINE, /* a line, or the last piece of one */
	INPUT_PART, /* the line goes on, or the message ends without a line end */
	INPUT_END,
	INPUT_FAILED,
};

/* text is valid until the next call. */
enum input_result input_next(struct input *in, struct str *text, struct err *err);
