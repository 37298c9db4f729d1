/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the postmaster is told of sessions in which something went wrong: the commands and
 * replies, when errors of a class in notify_classes were among them (protocol, policy,
 * resource, software, data). A letter goes out at the end of the session, or before that
 * when a transaction ends and more than smtpd_history_flush_threshold lines have
 * gathered.
 *
 * Content of messages is never kept, nor what AUTH carries. A transcript has at most
 * TRANSCRIPT_BYTES bytes; what comes after that is counted, not kept.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "access/access.h"

struct session;
struct smtpd;

enum { TRANSCRIPT_BYTES = 65536 };

struct transcript {
	struct buf text; /* "In:  ..." and "Out: ..." lines */
	size_t lines;
	size_t dropped;
	unsigned errors; /* classes seen, of smtpd->notify */
};

/* notify_classes; a name that is not one of them is an error. */
bool transcript_settings(struct smtpd *smtpd, struct err *err);

void transcript_begin(struct session *s);
void transcript_command(struct session *s, struct str line);
/* Something that nobody may read later came in. */
void transcript_secret(struct session *s);
/* One line or more. The class follows from the reply, unless an access list has given it:
 * answer, else NULL. */
void transcript_reply(struct session *s, struct str reply,
		      const struct access_answer *answer);

/* EHLO, RSET, the end of a message: a long transcript ends here. Blocks if it is sent. */
void transcript_turn(struct session *s);

/* The session is over. reason: "lost connection", or NULL for an end in good order. */
void transcript_end(struct session *s, const char *reason);
