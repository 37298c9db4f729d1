/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message file, read: envelope, recipients, content (facts: queue 2). The file may be
 * damaged or hostile: everything is checked and bounded, and the texts of complaints are
 * those that qmgr logs.
 *
 * queue_file_open() reads the whole file's structure once, except the content, and keeps
 * what there is once; recipients, of which there may be many, are then read in batches.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "queue/record.h"

struct arena;

enum { QUEUE_ATTRIBUTES_MAX = 100, QUEUE_ADDRESS_MAX = 10000 };

struct queue_attribute {
	struct str name;
	struct str value;
};

struct queue_file {
	int fd; /* not owned */
	int64_t arrival_us;
	int64_t create_s;  /* create_time, else the arrival: what expiry counts from */
	struct str sender; /* internal form; empty: null sender */
	struct str full_name;
	struct str filter; /* content_filter */
	struct str redirect;
	struct str verp;
	struct str encoding; /* "7bit", "8bit", or empty */
	struct str envelope_id;
	int64_t dsn_ret;
	int64_t trace_flags;
	int64_t sendopts;
	int64_t content_size;    /* of the message, for the log and SIZE= */
	int64_t content_offset;  /* of the first content record */
	int64_t segment_size;    /* bytes of the content segment */
	int64_t size_rcpt_count; /* as the size record has it */
	int64_t rcpt_count;      /* recipients not done */
	int64_t done_count;
	int64_t trace_offset; /* of the record with trace_flags; 0: none */
	int64_t warn_us;      /* when the delay warning is due; 0: never */
	int64_t warn_offset;  /* of that record; 0: none */
	int64_t first_rcpt;   /* offset of the first recipient's first record; 0: none */
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	size_t n_attributes;
};

/* ERR_PERM: damaged ("missing end record"); ERR_TEMP: could not be read. Strings are in
 * the arena, which must live as long as the file is used. */
bool queue_file_open(struct arena *mem, int fd, struct queue_file *out,
		     struct err *err) MUST_CHECK;

/* Value of a named attribute; empty if there is none. The last one of a name counts. */
struct str queue_file_attribute(const struct queue_file *f, const char *name);

struct queue_recipient {
	int64_t offset; /* of the recipient record */
	struct str address;
	struct str original;
	struct str dsn_orcpt;
	int64_t dsn_notify;
	bool done;
};

/* Read up to max recipients (done ones are skipped unless with_done) from *offset on;
 * *offset becomes where the next batch starts, 0 when there are no more. Start with
 * f->first_rcpt. */
bool queue_file_recipients(struct arena *mem, const struct queue_file *f, bool with_done,
			   size_t max, int64_t *offset, struct queue_recipient **out,
			   size_t *count_out, struct err *err) MUST_CHECK;

/* Overwrite the record's letter: R becomes D. Not synced: see facts, queue 2.3. */
bool queue_file_mark_done(int fd, int64_t recipient_offset, struct err *err) MUST_CHECK;
/* The report of sendmail -v has been sent: its request is struck out. */
bool queue_file_end_trace(struct queue_file *f, struct err *err) MUST_CHECK;
/* Put a new time (0: never again) into the warning record. */
bool queue_file_set_warning(const struct queue_file *f, int64_t time_s,
			    struct err *err) MUST_CHECK;

/* ---- content ---- */

enum queue_content_result {
	QUEUE_CONTENT_LINE, /* a line that ends here */
	QUEUE_CONTENT_PART, /* a piece of a line */
	QUEUE_CONTENT_END,
	QUEUE_CONTENT_FAILED,
};

struct queue_content {
	struct record_reader reader;
	int64_t start;
	int jumps;
};

void queue_content_init(struct arena *mem, struct queue_content *c, int fd,
			int64_t content_offset);
void queue_content_rewind(struct queue_content *c);
/* text is valid until the next call. */
enum queue_content_result queue_content_next(struct queue_content *c,
					     struct str *text_out, struct err *err);
