/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message of our own, given to cleanup.
 */

#include <stdbool.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct common_config;
struct daemon;
struct stream;

struct submission {
	struct daemon *daemon;
	struct arena *mem;
	bool filtered; /* internal_mail_filter_classes */
	struct stream *stream;
	struct str queue_id; /* of the new message */
	bool failed;         /* a write failed; submit_end() tells */
	int trace_flags;     /* of the queue file */
};

/* Connect, and send the envelope: one sender (empty: the null sender), one recipient.
 * s->daemon, s->mem, s->filtered (header checks and milters see it) and s->trace_flags (a
 * probe's, ipc/deliver.h; 0: none) are set. */
bool submit_begin(struct submission *s, struct str sender, struct str recipient,
		  int timeout_s, struct err *err) MUST_CHECK;
/* The header field that a message made here begins with: Received:, with the date.
 * now_s: time(2). */
void submit_trace(struct submission *s, const struct common_config *config, time_t now_s);
void submit_date(struct submission *s, time_t now_s);
void submit_line(struct submission *s, struct str line, bool whole);
/* All lines of a text. */
void submit_text(struct submission *s, struct str text);
/* Finish and wait until cleanup has it on disk. Closes the connection in any case. */
bool submit_end(struct submission *s, struct err *err) MUST_CHECK;
