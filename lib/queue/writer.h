/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes a queue file, as cleanup does: size record (patched at the end), time,
 * create_time, envelope, recipients, M, content, X, extracted records, E.
 *
 * Call in this order: init; record and recipient; content; line; extracted; record and
 * recipient; finish; then queue_writer_commit() makes it complete (mode) and durable
 * (fsync). An order that makes no file is a bug and panics. Errors of writing are sticky:
 * every later call is a no-op and finish reports the first one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "queue/dir.h"
#include "queue/file.h"

struct queue_writer {
	int fd;
	enum {
		QUEUE_WRITER_ENVELOPE,
		QUEUE_WRITER_CONTENT,
		QUEUE_WRITER_EXTRACTED,
		QUEUE_WRITER_FINISHED
	} stage;
	struct buf out;    /* not yet written */
	int64_t offset;    /* file size including what is in out */
	int64_t max_bytes; /* of the file; 0 no limit */
	size_t line_limit; /* content pieces, bytes (line_length_limit) */
	struct queue_size size;
	bool failed;
	struct err err; /* the first failure; ERR_PERM: max_bytes was reached */
};

/* Starts with the C record, T and create_time (arrival_us). */
void queue_writer_init(struct queue_writer *w, int fd, int64_t arrival_us,
		       int64_t max_bytes);
void queue_writer_release(struct queue_writer *w);

/* A record of the envelope or of the extracted part; it must be legal there. Recipients
 * go through queue_writer_recipient(). */
void queue_writer_record(struct queue_writer *w, char type, struct str data);
/* An attribute name=value. */
void queue_writer_attribute(struct queue_writer *w, const char *name, struct str value);
/* A time that can be rewritten in place (W). */
void queue_writer_number(struct queue_writer *w, char type, int64_t value);

/* DSN records, original recipient (always written, as qmgr expects one per recipient) and
 * recipient. r->offset is set. */
void queue_writer_recipient(struct queue_writer *w, struct queue_recipient *r);

/* M. */
void queue_writer_content(struct queue_writer *w);
/* A line without its newline; longer ones are cut into pieces. */
void queue_writer_line(struct queue_writer *w, struct str line);
/* X. */
void queue_writer_extracted(struct queue_writer *w);
/* E, all written out, size record patched. */
bool queue_writer_finish(struct queue_writer *w, struct err *err) MUST_CHECK;

/* Name (if it has none), mode, then fsync: the message is ours from here on. On failure
 * the file must be abandoned, the fsync not tried again. */
bool queue_writer_commit(struct queue_dirs *q, struct queue_entry *e,
			 enum queue_name queue, unsigned mode,
			 struct err *err) MUST_CHECK;
