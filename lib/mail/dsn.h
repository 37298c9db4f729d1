/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The result of a delivery to one recipient: enhanced status code (RFC 3463), what
 * happened (the Action of RFC 3464), and why. Not an error: see base/err.h for those.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct err;

/* "4.4.1": class 2, 4 or 5, then two numbers of up to three digits. */
enum { DSN_STATUS_SIZE = 10 };
struct dsn_status {
	char text[DSN_STATUS_SIZE];
};

enum dsn_action {
	DSN_NONE,      /* nothing happened yet */
	DSN_DELIVERED, /* in the mailbox */
	DSN_RELAYED,   /* handed to a system that does not report further */
	DSN_DELAYED,
	DSN_FAILED,
	DSN_EXPANDED, /* alias with several results */
	DSN_DELIVERABLE,
	DSN_UNDELIVERABLE, /* of an address probe */
};

struct dsn {
	struct dsn_status status;
	enum dsn_action action;
	struct str reason; /* one line for log and report */
	struct str
		diag_type; /* Diagnostic-Code: "smtp", "x-unix", "x-postfix" or empty */
	struct str diag_text; /* the server's reply as it came */
	struct str mta_type;  /* Remote-MTA: "dns", "unix" or empty */
	struct str mta_name;
};

/* "delivered", "relayed"...; DSN_NONE is the empty string. */
const char *dsn_action_name(enum dsn_action action);

/* Length of the status code at the start of text (its end is a blank or the end of the
 * text), or 0. */
size_t dsn_status_length(struct str text);

/* Take a status code off the start of text, with the blanks around it. Without one: the
 * default, and *rest_out is text without leading blanks. */
struct dsn_status dsn_status_split(const char *default_status, struct str text,
				   struct str *rest_out);

/* The code of an SMTP reply: the enhanced one when it is there and its class agrees with
 * the first digit of the reply, else class.0.0. text is what follows the three digits
 * and the separator. A reply code outside 200..599 gives 5.5.0. */
struct dsn_status dsn_status_from_reply(int code, struct str text);

/* class is '2', '4' or '5'; replaces the first digit. */
struct dsn_status dsn_status_with_class(struct dsn_status status, char class);

/* status must be valid text; the action follows from its class: delivered, delayed,
 * failed. The texts are copied to the arena. */
struct dsn dsn_make(struct arena *mem, const char *status, struct str reason);
struct dsn dsn_printf(struct arena *mem, const char *status, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* The recipient waits because of our own trouble: 4.3.0, or 4.3.5 for ERR_CONFIG, with
 * the error's text. Never a bounce: the fault is not the sender's. */
struct dsn dsn_from_err(struct arena *mem, const struct err *err);

/* All texts copied to another arena. */
struct dsn dsn_dup(struct arena *mem, const struct dsn *dsn);
