/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bounce, defer and trace files: for each message that has something to tell, a text
 * file named by its queue id with an entry per recipient and attempt (facts: queue 7).
 * mailq reads the reasons from there, reports are made of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "queue/dir.h"

struct arena;
struct buf;

enum { LOG_FILE_MAX = 64 << 20, LOG_FILE_ENTRIES_MAX = 1000000 };

struct log_entry {
	struct str recipient; /* internal form */
	struct str original;
	int64_t offset; /* of the recipient record; 0: unknown */
	struct str dsn_orcpt;
	int64_t dsn_notify;
	struct str dsn;    /* "4.4.1" */
	struct str action; /* "delayed" */
	struct str reason;
	struct str mta_type;
	struct str mta_name;
	struct str diag_type;
	struct str diag_text;
};

/* The text of one entry; with_old_line: Postfix's old first line "<recipient>: reason"
 * (backwards_bounce_logfile_compatibility). Line ends in values become blanks. */
void log_entry_format(struct arena *mem, struct buf *out, const struct log_entry *entry,
		      bool with_old_line);

/* Append the entry and wait until it is on disk; on failure the file is as before. q is
 * QUEUE_BOUNCE, QUEUE_DEFER or QUEUE_TRACE. May block. */
bool log_file_append(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		     const struct log_entry *entry, bool with_old_line,
		     struct err *err) MUST_CHECK;

/* All entries; a file that is not there has none. Entries without a recipient are
 * skipped. */
bool log_file_read(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
		   struct str id, struct log_entry **entries_out, size_t *count_out,
		   struct err *err) MUST_CHECK;

/* The pure part of log_file_read(). */
void log_file_parse(struct arena *mem, struct str text, struct log_entry **entries_out,
		    size_t *count_out);
