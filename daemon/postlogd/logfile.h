/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The log file: lines are appended whole, and what cannot be written is counted and told
 * of when writing works again.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { LOGFILE_BATCH_BYTES = 256 * 1024 };

struct logfile {
	int fd;
	const char *host; /* first label of myhostname, for lines of our own */
	struct buf batch; /* lines to be written */
	size_t lines;     /* in batch */
	size_t lost;      /* not written since the last line that told of it */
	int lost_errno;
	bool torn; /* the last write ended inside a line */
};

/* path: absolute, or /dev/stdout, which is our descriptor 1. Mode 0600 if it is made. */
bool logfile_open(struct logfile *f, const char *path, const char *host,
		  struct err *err) MUST_CHECK;
void logfile_release(struct logfile *f);

/* One datagram: one line or several, without or with a last newline. Control bytes become
 * '?'. Kept until logfile_flush(), which is called for a full batch. */
void logfile_add(struct logfile *f, struct str text);
void logfile_flush(struct logfile *f);
