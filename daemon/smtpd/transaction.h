/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A message on its way in: sender, recipients, and the connection to cleanup that makes
 * its queue file. Everything between MAIL and the end of the message is here, in an arena
 * of its own; ending the transaction ends it all, and cleanup then removes what it has of
 * a file.
 *
 * A broken connection to cleanup is noted (`failed`) and told at the end of the message:
 * "451 4.3.0 Error: queue file write error".
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "ipc/message.h"
#include "smtp/server_command.h"

struct arena;
struct buf;
struct proxy;
struct session;
struct stream;

struct transaction {
	struct arena *mem;
	struct session *session;
	struct smtp_mail_command mail;
	int64_t arrival_us;
	int64_t n_recipients; /* accepted */
	struct str recipient; /* the first one */
	int64_t overshoot;    /* recipients beyond smtpd_recipient_limit */
	bool local_rewrite;   /* headers are completed as our own */

	struct str mail_line; /* the command, for a filter before the queue */
	struct proxy *proxy;  /* in the place of cleanup; NULL: none, or not asked yet */
	struct stream *cleanup; /* NULL: not asked yet */
	struct ipc ipc;
	struct str id;
	struct buf *record;
	bool failed;

	/* Content. */
	bool begun;
	bool seen_line;    /* the first one that is no "From " line */
	bool too_large;    /* the rest is read and forgotten */
	bool bare_lf;      /* seen, with NEWLINE_REJECT */
	int64_t size;      /* as in the log: lines count with CR LF */
	bool is_bdat;      /* a chunk has come */
	struct buf *line;  /* the unfinished line of a chunk */
	bool line_is_part; /* and its beginning is written */
};

/* After MAIL. */
struct transaction *transaction_begin(struct session *s,
				      const struct smtp_mail_command *mail);
void transaction_end(struct transaction **tx);

/* Connect to cleanup (or the filter before the queue), if that was not done, and write
 * the envelope's beginning. False: it could not, which is logged; *reply_out is for the
 * client. */
bool transaction_open(struct session *s, struct str *reply_out);

void transaction_recipient(struct session *s, const struct smtp_rcpt_command *rcpt);

/* Received: and what comes before the message's own header. */
void transaction_begin_content(struct session *s);
/* A line, or with !ends a part of one whose rest follows. Counts, and stops to write at
 * message_size_limit. */
void transaction_text(struct session *s, struct str text, bool ends);

/* Hand over; the reply for the client in the arena s->now. False: not taken. */
bool transaction_commit(struct session *s, const char *ok_text, struct str *reply_out);
