/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that pickup writes and others parse (facts: logs 3).
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct log;

/* orig_id: of a message that was put back; empty for a new one. */
void log_pickup(struct log *log, struct str id, uid_t uid, struct str sender,
		struct str orig_id);
void log_future(struct log *log, struct str id, struct str path, int64_t seconds);
void log_old(struct log *log, struct str id, struct str path, int64_t days);
void log_no_sender(struct log *log, struct str id, uid_t uid);
/* type: of the record; -1: an impossible length, -2: the end of the file. */
void log_malformed(struct log *log, uid_t uid, int type);
void log_refused(struct log *log, struct str path, struct str id, struct str reason);
void log_file_error(struct log *log, struct str path, const char *why);
