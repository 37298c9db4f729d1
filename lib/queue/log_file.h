/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Delivery status logs: bounce/ID, defer/ID and trace/ID have one entry per recipient and
 * event. An entry is lines of name=value, ended by an empty line; before it stands, for
 * old readers, "<recipient>: reason" (backwards_bounce_logfile_compatibility). bounce
 * makes reports of them, mailq shows the reasons.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "queue/dir.h"

struct arena;

struct queue_log_entry {
	struct str recipient;
	struct str original_recipient; /* written if it differs */
	int64_t offset;                /* of the recipient record; 0 unknown */
	struct str dsn_orcpt;
	int dsn_notify;
	struct str status; /* 4.4.1 */
	struct str action; /* delayed, failed, ... */
	struct str diag_type, diag_text;
	struct str mta_type, mta_name;
	struct str reason;
};

enum {
	QUEUE_LOG_VALUE_MAX = 100 << 10, /* bytes of one value; longer ones are cut */
	QUEUE_LOG_BYTES_MAX = 1 << 30,
};

/* Append one entry and fsync. On failure the file is what it was before. */
bool queue_log_append(const struct queue_dirs *q, enum queue_name log, struct str id,
		      const struct queue_log_entry *entry, bool old_line,
		      struct err *err) MUST_CHECK;

enum queue_log_result { QUEUE_LOG_OPENED, QUEUE_LOG_ABSENT, QUEUE_LOG_FAILED };

struct queue_log_reader;

/* The reader and its descriptor end with the arena. */
enum queue_log_result queue_log_open(struct arena *mem, const struct queue_dirs *q,
				     enum queue_name log, struct str id,
				     struct queue_log_reader **out,
				     struct err *err) MUST_CHECK;
/* The next entry; its strings live until the next call. False at the end and after an
 * error (err->kind is then not ERR_NONE). */
bool queue_log_next(struct queue_log_reader *r, struct queue_log_entry *out,
		    struct err *err) MUST_CHECK;
/* Empty files are logs nobody finished: treat them as absent. */
bool queue_log_is_empty(const struct queue_log_reader *r);

/* Remove the log; a missing one is no failure. *removed says if there was one. */
bool queue_log_delete(const struct queue_dirs *q, enum queue_name log, struct str id,
		      bool *removed, struct err *err) MUST_CHECK;
