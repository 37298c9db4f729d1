/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A log as a sequence of blocks of whole lines, with a way to look back.
 *
 * A plain file is read into a small buffer that is used again (never mapped: a log may be
 * cut under our hands), and any earlier part can be read again. Compressed files and
 * standard input are kept for the last SOURCE_KEEP bytes. A line longer than a block is
 * dropped and counted. A compressed file that ends early gives what it has, and is
 * marked.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { SOURCE_BLOCK = 256 * 1024, SOURCE_KEEP = 16 * 1024 * 1024 };

struct arena;
struct source;

struct source_facts {
	const char *path;   /* "-" is standard input */
	bool seekable;      /* a plain file: any part can be read again */
	int64_t modified_s; /* seconds since 1970: the reference for the year of stamps */
	uint64_t huge_lines;
	bool damaged; /* ended early, or a read error */
};

/* Closed when the arena ends. */
bool source_open(struct arena *mem, const char *path, struct source **source_out,
		 struct err *err) MUST_CHECK;

const struct source_facts *source_facts(const struct source *s);

/* The next whole lines; *offset_out is where they begin. The last line of a file may
 * lack its LF. False at the end. The block is valid until the next call. */
bool source_next(struct source *s, struct str *block_out, uint64_t *offset_out);

/* Bytes from..to (at most SOURCE_BLOCK) of what was read already; fewer, also none, if
 * they are gone. *offset_out is where the result begins. Valid until the next call. */
struct str source_again(struct source *s, uint64_t from, uint64_t to,
			uint64_t *offset_out);

/* From now on the last line is handed out only when its LF is there, and source_next()
 * may be called again after it said false: for --follow. */
void source_follow(struct source *s);

/* Start over; only for files. */
bool source_rewind(struct source *s, struct err *err) MUST_CHECK;

/* For --follow: true if the name now means another file, or the file became shorter. */
bool source_was_rotated(const struct source *s);
