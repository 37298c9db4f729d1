/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of a delivery report: multipart/report (RFC 3462) with an explanation, the
 * machine-readable part (RFC 3464, or RFC 6533 for UTF-8), and the original message or
 * its header. Pure: values in, lines out. Message-Id and the qualification of
 * MAILER-DAEMON are cleanup's work, as for any local mail.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct bounce_template;
struct buf;

enum report_kind {
	REPORT_FAILURE, /* to the sender: could not be delivered */
	REPORT_DELAY,   /* to the sender: still trying */
	REPORT_SUCCESS, /* to the sender: delivered, as asked for */
	REPORT_VERIFY,  /* to the user who asked with sendmail -bv or -v */
};

/* How a report is addressed decides its wording and how much of the message it has. */
enum report_audience {
	REPORT_TO_SENDER,
	REPORT_TO_POSTMASTER_COPY,          /* notify_classes has bounce or delay */
	REPORT_TO_POSTMASTER_UNDELIVERABLE, /* a bounce could not be delivered */
};

struct report_recipient {
	struct str address;   /* internal form */
	struct str original;  /* before rewriting; empty: the same */
	struct str dsn_orcpt; /* "type;address", empty: none was given */
	struct str dsn;       /* "5.1.1" */
	struct str action;    /* "failed", "delayed" ... */
	struct str reason;
	struct str mta_name; /* remote MTA, empty: none */
	struct str diag_type;
	struct str diag_text;
};

struct report {
	const struct bounce_template *words; /* expanded */
	enum report_kind kind;
	enum report_audience audience;
	struct str to;            /* internal form */
	struct str sender;        /* of the original, never empty */
	struct str queue_id;      /* of the original */
	struct str boundary_host; /* myhostname */
	struct str mail_name;     /* mail_name */
	struct str reporting_mta; /* myhostname */
	struct str envelope_id;   /* of the original, decoded; empty: none */
	struct str message_id;    /* of the original, for References:; empty: leave out */
	int64_t now_us;
	int64_t arrival_us;
	int64_t expires_us; /* REPORT_DELAY: Will-Retry-Until */
	bool is_8bit;       /* the original has 8-bit content */
	bool utf8_text;     /* smtputf8_enable: what is said may have UTF-8 */
	bool utf8;          /* global forms */
	bool headers_only;  /* what is returned of the original */
	const struct report_recipient *recipients;
	size_t n_recipients;
};

/* From the next header line to the head of the part that carries the original,
 * inclusive. Then the caller copies the original's lines and calls report_end(). */
void report_begin(struct arena *mem, struct buf *out, const struct report *r);
void report_end(struct arena *mem, struct buf *out, const struct report *r);

/* Append text wrapped at 79 columns; lines after the first are indented by four blanks.
 * Words that are longer stay whole. */
void report_wrap(struct buf *out, struct str text);
