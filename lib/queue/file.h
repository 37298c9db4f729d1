/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message file for reading: envelope, recipients in batches, content; and the two
 * marks that are made in place.
 *
 * A file has three parts. Envelope: size (C), times, sender, attributes, recipients, M.
 * Content: text lines (N; L is part of a line), X. Extracted: what came out of the
 * headers, more recipients, E. Milters edit a finished file by pointers (p) into a heap
 * after E, so every reader follows them.
 *
 * queue_file_open() reads what is not a recipient and jumps over the content, so opening
 * a message costs a few reads whatever its size. Damage is an error of kind ERR_PERM
 * whose text is what the log says after "QID: " ("message rejected: missing end record");
 * trouble with reading is ERR_TEMP.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "queue/record.h"

struct arena;

struct queue_attributes {
#define ATTRIBUTE(N) struct str N;
#include "queue/attribute.def"
#undef ATTRIBUTE
};

enum {
	QUEUE_FLAG_MIXED = 1 << 0, /* qmgr flags: other records stand among recipients */
	QUEUE_FLAG_ALL = QUEUE_FLAG_MIXED,
	QUEUE_SIZE_WIDTH = 6 * RECORD_NUMBER_WIDTH + 5, /* payload of C */
	QUEUE_ATTRIBUTES_MAX = 1000,
};

/* The fields of the size record. */
struct queue_size {
	int64_t data_bytes;      /* from after M to X */
	int64_t data_offset;     /* of the first content record */
	int64_t recipient_count; /* not in files of very old versions: then 0 */
	int64_t flags;           /* QUEUE_FLAG_* */
	int64_t content_length;  /* of the message, with the edits of milters */
	int64_t sendopts;        /* SMTPUTF8 and REQUIRETLS requests; unknown bits stay */
};

void queue_size_put(const struct queue_size *size, char out[QUEUE_SIZE_WIDTH + 1]);
bool queue_size_parse(struct str data, struct queue_size *out,
		      struct err *err) MUST_CHECK;

struct queue_file {
	int fd;
	struct queue_size size;
	int64_t arrival_s, arrival_usec; /* T */
	int64_t create_s; /* base of expiry; the arrival time where it is missing */
	bool has_sender;
	struct str sender;
	struct str full_name;
	struct str filter;   /* transport:nexthop of content_filter or FILTER; "" none */
	struct str redirect; /* REDIRECT recipient */
	struct str verp;     /* two delimiters */
	struct str inspector;
	int64_t warn_s;      /* when a delay warning is due, 0 never, -1 was sent */
	int64_t warn_offset; /* of the W record, 0 none */
	int trace_flags;
	int dsn_ret; /* RET: 0 none, 1 full, 2 headers */
	struct str dsn_envid;
	struct queue_attributes attributes;
	int64_t first_recipient; /* where queue_recipients_read() starts */
};

/* fd: open for reading (for writing too if marks are to be made); it stays the
 * caller's. All strings are in the arena. */
bool queue_file_open(struct arena *mem, int fd, struct queue_file *out,
		     struct err *err) MUST_CHECK;

struct queue_recipient {
	int64_t offset; /* of the R record, for queue_mark_done() */
	struct str address;
	struct str orig_address; /* O; the empty str if there was none */
	struct str dsn_orcpt;    /* ORCPT "type;address" */
	int dsn_notify;          /* NOTIFY bits: never 1, success 2, failure 4, delay 8 */
};

/* Where the next batch begins; start with offset = file->first_recipient. */
struct queue_position {
	int64_t offset;
	bool extracted; /* it is in the last part */
	bool at_end;    /* E was read: there are no more */
};

void queue_position_init(struct queue_position *at, const struct queue_file *file);

/* Up to max undone recipients from *at on, in the arena; *at then says where to go on.
 * (*count_out may be less than max only at the end.) */
bool queue_recipients_read(struct arena *mem, const struct queue_file *file,
			   struct queue_position *at, size_t max,
			   struct queue_recipient **out, size_t *count_out,
			   struct err *err) MUST_CHECK;

/* Overwrite the type R at offset by D. What is there must be a recipient that fits the
 * file, else nothing is written. Not synced: losing a mark means a second copy, never a
 * loss. Done already is not an error. */
bool queue_mark_done(int fd, int64_t offset, struct err *err) MUST_CHECK;
/* Overwrite the time in the W record; seconds -1: the warning has been sent. */
bool queue_mark_warned(const struct queue_file *file, int64_t seconds,
		       struct err *err) MUST_CHECK;

/* The content, line by line. */
struct queue_content {
	struct record_reader records;
	bool done;
};

void queue_content_init(struct queue_content *c, const struct queue_file *file);
void queue_content_release(struct queue_content *c);
/* The next piece: a line without its newline (*newline true) or a part of a line.
 * False at the end and after damage; queue_content_ok() tells which. */
bool queue_content_next(struct queue_content *c, struct str *text,
			bool *newline) MUST_CHECK;
bool queue_content_ok(const struct queue_content *c, struct err *err) MUST_CHECK;

/* Read all of a file: every record must be where it may be, E must be there, the
 * counts must fit. For tests, start-up checks and tools. */
bool queue_file_verify(int fd, struct err *err) MUST_CHECK;
