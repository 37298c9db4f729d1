/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The message as a recipient gets it: lines that are put in front, the content of the
 * queue file, what comes behind. Where it goes is the caller's: a file, a pipe, a
 * connection.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum copy_flag {
	COPY_FROM = 1u << 0,  /* "From sender date" in front */
	COPY_QUOTE = 1u << 1, /* '>' before lines that begin with "From " */
	COPY_BLANK = 1u << 2, /* an empty line behind */
	COPY_RETURN_PATH = 1u << 3,
	COPY_ORIGINAL = 1u << 4,  /* X-Original-To: */
	COPY_DELIVERED = 1u << 5, /* Delivered-To: */
	COPY_DOT = 1u << 6,       /* '.' doubled at the start of a line */
};

struct copy_text {
	unsigned flags;
	struct str eol;
	struct str sender;      /* empty: null sender */
	struct str null_sender; /* its name in the From line */
	struct str return_path; /* as it stands between the brackets */
	struct str original;
	struct str delivered;
	int message; /* the queue file */
	int64_t content_offset;
};

enum copy_result {
	COPY_OK,
	COPY_UNREADABLE, /* the queue file is damaged */
	COPY_UNWRITTEN,  /* write() said no; it keeps its own reason */
};

/* All bytes go through write, in pieces of some kilobytes. err with COPY_UNREADABLE. */
enum copy_result copy_message(const struct copy_text *text,
			      bool (*write)(void *arg, struct str piece), void *arg,
			      struct err *err) MUST_CHECK;
