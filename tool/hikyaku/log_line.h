/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One line of a maillog, taken apart. Pure: bytes in, values out; every str of the result
 * points into the line. Reads what Postfix 2.x to 3.12 and Hikyaku write: short and long
 * queue ids, any syslog_name, RFC 3164, RFC 5424 and ISO 8601 headers.
 *
 * A line that has a time and a program name is a log line; what is not recognised beyond
 * that is LOG_OTHER with its text. Fields a line does not have are empty (p may be NULL).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_kind {
	LOG_OTHER,
	LOG_CLIENT,     /* smtpd: a message begins: client, sasl_*, orig_* */
	LOG_PICKUP,     /* pickup: a message begins: uid, from, orig_id */
	LOG_MESSAGE_ID, /* cleanup: message_id */
	LOG_ACTIVE,     /* qmgr: from, size, nrcpt */
	LOG_DELIVERY,   /* to, orig_to, relay, delay(s), dsn, status, reason, link */
	LOG_REMOVED,
	LOG_EXPIRED,      /* qmgr: from, status */
	LOG_NOTIFICATION, /* bounce: status = what kind, link = new id */
	LOG_ACTION,   /* reject and relatives: action, stage, client, reason, from, to */
	LOG_LOST,     /* lost connection, timeout, errors, bad pipelining: client */
	LOG_HELD,     /* postsuper: placed on hold */
	LOG_RELEASED, /* postsuper: released from hold */
	LOG_REQUEUED,
	LOG_FORCE_EXPIRED,
	LOG_SKIPPED,     /* qmgr: still being delivered */
	LOG_SOFT,        /* smtp: one server failed, the next is tried: reason */
	LOG_CONNECT,     /* smtpd: client */
	LOG_DISCONNECT,  /* smtpd: client, reason = statistics */
	LOG_AUTH_FAILED, /* smtpd: client, reason, sasl_method, sasl_user */
	LOG_RATE_LIMIT,  /* smtpd: client, reason */
	LOG_POSTSCREEN,  /* action, client, reason */
	LOG_CONNECT_TO,  /* smtp: connect to ...: reason */
	LOG_TLS,         /* TLS connection established: reason */
	LOG_TLS_FAILED,  /* or its certificate not verified: client, reason */
	LOG_STATISTICS,  /* anvil, scache: reason */
	LOG_KINDS
};

enum log_severity {
	LOG_SEV_INFO,
	LOG_SEV_WARNING,
	LOG_SEV_ERROR,
	LOG_SEV_FATAL,
	LOG_SEV_PANIC
};

enum { LOG_LINE_MAX = 8192 };

struct log_line {
	int64_t time_us; /* since 1970 UTC */
	struct str host;
	struct str tag;    /* postfix/submission/smtpd */
	struct str daemon; /* smtpd */
	int64_t pid;       /* -1: none */
	enum log_severity severity;
	enum log_kind kind;
	struct str id; /* queue id; empty for NOQUEUE and for none */
	bool noqueue;
	struct str text; /* after header, severity and id */

	struct str action, stage;
	struct str client; /* name[address] */
	struct str from, to, orig_to;
	bool has_from; /* from may be the empty address */
	struct str uid, orig_id, orig_client;
	struct str sasl_method, sasl_user;
	struct str proto, helo;
	struct str message_id;
	int64_t size, nrcpt; /* -1: none */
	struct str relay, dsn, status, reason, tls;
	bool has_delays;
	double delay, delays[4];
	int64_t conn_use; /* 0: a new connection */
	struct str link; /* a queue id that this line leads to, perhaps of another host */
};

/* reference_s: see log_stamp.h. False for something that is not a log line. */
bool log_line_parse(struct str line, int64_t reference_s,
		    struct log_line *out) MUST_CHECK;

/* A delivery to a program or server of this machine that may give the message back under
 * a new id which the line does not tell: a content filter. */
bool log_is_handed_on(const struct log_line *l);

/* A message begins that came from this machine, such as one from a content filter; and
 * the line does not tell what it was before. */
bool log_is_from_here(const struct log_line *l);

/* Does the relay field name this machine? */
bool log_is_relay_here(const struct log_line *l);

/* "deferred", "client" ...: the kind's name for JSON. */
const char *log_kind_name(enum log_kind kind);

/* Does s have the form of a queue id, short (hexadecimal) or long (no vowels)? */
bool log_is_queue_id(struct str s);

/* The queue id right at the beginning of the text of a raw line, without parsing the
 * rest; empty if there is none. */
struct str log_quick_id(struct str line);

/* The last word of a raw line where it has the form of a queue id ("queued as X)",
 * "notification: X", "orig_id=X"); empty if not. */
struct str log_quick_link(struct str line);
