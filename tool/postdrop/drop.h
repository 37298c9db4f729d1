/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Takes a message apart into records as an unprivileged sender gave them, and lets
 * through what such a sender may say. Pure: bytes in, bytes for the queue file out.
 *
 * What is allowed is in queue/record.def, the attributes in drop.c. Beyond what Postfix
 * 3.7 does: no record of the envelope may have CR, LF or NUL in it, as those would become
 * lines of their own in mailboxes and logs; and trace_flags may only ask for what
 * sendmail -v and -bv ask for (both are what Postfix does since 2026).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "queue/record.h"

struct arena;
struct buf;

struct drop {
	size_t max_length; /* of a record: line_length_limit */
	enum record_segment segment;
	size_t senders;
	size_t recipients;
	struct str sender; /* the last one; valid until the next call */
	bool got_sender;   /* the last record was a sender */
};

enum drop_result {
	DROP_TAKEN,   /* one record, into out unless it was dropped */
	DROP_MORE,    /* input does not hold a whole record */
	DROP_END,     /* the E record was taken */
	DROP_REFUSED, /* err says why */
};

/* Take one record off the front of input: *used_out bytes. What is dropped without
 * refusing the message is told in *warning_out (else empty). */
enum drop_result drop_take(struct arena *mem, struct drop *d, struct str input,
			   struct buf *out, size_t *used_out, struct str *warning_out,
			   struct err *err);
