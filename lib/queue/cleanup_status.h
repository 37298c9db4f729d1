/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a client asks of cleanup (flags) and what became of the message (status):
 * Postfix's bits, which postdrop also answers with (facts: queue 3.1, 3.3).
 */

#include "mail/dsn.h"

enum cleanup_flag {
	CLEANUP_FLAG_BOUNCE = 1u << 0, /* bounce a message that cannot be taken */
	CLEANUP_FLAG_FILTER = 1u << 1, /* header and body checks */
	CLEANUP_FLAG_HOLD = 1u << 2,   /* into hold */
	CLEANUP_FLAG_DISCARD = 1u << 3,
	CLEANUP_FLAG_BCC_OK = 1u << 4, /* automatic copies */
	CLEANUP_FLAG_MAP_OK = 1u << 5, /* canonical and virtual tables */
	CLEANUP_FLAG_MILTER = 1u << 6,
	CLEANUP_FLAG_SMTP_REPLY = 1u << 7,
	CLEANUP_FLAG_SMTPUTF8 = 1u << 8,
	CLEANUP_FLAG_AUTOUTF8 = 1u << 9,
};

enum cleanup_status {
	CLEANUP_OK = 0,
	CLEANUP_BAD = 1u << 0,   /* the client does not keep to the protocol */
	CLEANUP_WRITE = 1u << 1, /* queue file could not be written */
	CLEANUP_SIZE = 1u << 2,  /* too large */
	CLEANUP_CONT = 1u << 3,  /* content refused */
	CLEANUP_HOPS = 1u << 4,  /* too many Received: lines */
	CLEANUP_RCPT = 1u << 6,  /* no recipients */
	CLEANUP_PROXY = 1u << 7,
	CLEANUP_DEFER = 1u << 8,  /* a table failed: try again */
	CLEANUP_NOPERM = 1u << 9, /* this user may not */
};

struct cleanup_text {
	unsigned status;
	const char *dsn;
	const char *text;
};

/* Why, for the most serious bit; never NULL for a status other than CLEANUP_OK. */
const struct cleanup_text *cleanup_text_find(unsigned status);
