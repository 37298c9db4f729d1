/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes a message file in the order that every reader expects (facts: queue 2): size
 * record, envelope, M, content, X, extracted, E. The size record is patched at the end,
 * then the file is made complete: flush, mode, fsync. Only after that the message may be
 * called accepted.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct buf;

struct queue_writer {
	int fd; /* not owned */
	struct buf *out;
	int64_t flushed;   /* bytes in the file */
	int64_t max_bytes; /* of the file; 0 = no limit */
	bool is_whole;     /* out still has all of the file */
	int64_t content_start;
	int64_t content_end;
	int64_t content_size; /* what the message is long, each line with CR and LF */
	int64_t rcpt_count;
	int64_t qmgr_opts;
	int64_t sendopts;
	bool too_large; /* max_bytes was reached; nothing more is written */
	bool failed;    /* a write failed; err of the first failure is kept */
	struct err err;
};

/* A file that is empty. max_bytes: stop there (the record that does not fit is dropped
 * and too_large set), so that a message cannot fill the disk. */
void queue_writer_init(struct arena *mem, struct queue_writer *w, int fd,
		       int64_t max_bytes);

void queue_writer_record(struct queue_writer *w, char letter, struct str data);
void queue_writer_printf(struct queue_writer *w, char letter, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* "name=value" */
void queue_writer_attribute(struct queue_writer *w, const char *name, struct str value);

/* The segments, in this order. */
void queue_writer_content(struct queue_writer *w);
void queue_writer_extracted(struct queue_writer *w);
/* Everything so far is in the file, for those who read it. */
bool queue_writer_flush(struct queue_writer *w) MUST_CHECK;
/* E, then the size record. False: could not be written (w->err). */
bool queue_writer_end(struct queue_writer *w) MUST_CHECK;

/* After queue_writer_end(): the whole file, if it was small enough to be written in one
 * piece; else empty. Valid as long as the arena. */
struct str queue_writer_whole(const struct queue_writer *w);

/* Position of the next record: for pointers and marks. */
int64_t queue_writer_offset(const struct queue_writer *w);

/* Give the file its final mode and wait until it is on disk. May block: run it where that
 * does no harm. */
bool queue_writer_commit(int fd, mode_t mode, bool names, struct err *err) MUST_CHECK;

/* For `names` above (queue_sync_names): where fsync() of a new file leaves its name to
 * chance, its file system is synced, too. auto: all but ext4, XFS and tmpfs. fd: anything
 * on that file system. */
bool queue_writer_names(int fd, struct str word, bool *out, struct err *err) MUST_CHECK;
