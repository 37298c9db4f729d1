/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a reply or a reason from the log means, in one plain sentence, and where it helps
 * what to do about it. The sentences are the rows of replies.def: enhanced status code,
 * step of the dialogue, and a pattern of the text. The first row that fits is taken.
 */

#include "base/str.h"

enum reply_step {
	STEP_ANY,
	STEP_DNS,
	STEP_CONNECT,
	STEP_GREETING, /* greeting and EHLO */
	STEP_TLS,
	STEP_AUTH,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,  /* DATA and the end of the message */
	STEP_LOCAL, /* local, virtual, pipe, error, qmgr */
	STEP_IN,    /* said by us to a client */
};

struct log_line;

struct reply_facts {
	struct str daemon; /* smtp, local, smtpd ... */
	struct str status; /* deferred, reject ... */
	struct str dsn;    /* 4.7.1; empty: taken from the text if it has one */
	struct str text;
};

struct explanation {
	const char *meaning; /* NULL if no row fits */
	const char *advice;  /* NULL if there is nothing to do */
};

enum reply_step explain_step(const struct reply_facts *facts);
struct explanation explain_reply(const struct reply_facts *facts);
/* The same for a delivery, a reject or another line of the log. */
struct explanation explain_line(const struct log_line *l);
/* Number of rows in the table. */
size_t explain_count(void);
