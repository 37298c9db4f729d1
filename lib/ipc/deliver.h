/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Numbers that the messages of messages.def carry and that both sides must agree on.
 */

enum deliver_flag {
	DELIVER_SUCCESS = 1u << 0,    /* sendmail -v: a trace record on success too */
	DELIVER_VERIFY = 1u << 1,     /* sendmail -bv or address probe: do not deliver */
	DELIVER_CONN_LOAD = 1u << 2,  /* use a cached connection */
	DELIVER_CONN_STORE = 1u << 3, /* keep the connection for the next request */
	DELIVER_MTA_VERIFY = 1u << 4, /* address probe by verify(8) */
	DELIVER_NOT_CACHED = 1u << 5, /* and what is not deliverable is not remembered */
};

enum deliver_outcome {
	DELIVER_SENT,     /* done: mark the recipient */
	DELIVER_DEFERRED, /* try again */
	DELIVER_BOUNCED,  /* permanently failed: bounce log, then mark */
};

enum flush_status {
	FLUSH_OK,
	FLUSH_FAILED,       /* try again */
	FLUSH_UNKNOWN_SITE, /* fast_flush_domains does not name it */
	FLUSH_BAD_REQUEST,
};

/* The bit of a queue file's trace_flags that makes it a probe of verify(8). */
enum { TRACE_PROBE = 256 };

enum verify_result {
	VERIFY_OK,      /* deliverable */
	VERIFY_DEFER,   /* not now */
	VERIFY_BOUNCE,  /* never */
	VERIFY_PENDING, /* not known yet */
};

enum anvil_event {
	ANVIL_CONNECT,
	ANVIL_DISCONNECT, /* no answer */
	ANVIL_MESSAGE,
	ANVIL_RECIPIENT,
	ANVIL_NEW_TLS,
	ANVIL_AUTH,
	ANVIL_EVENTS,
};

enum proxy_result {
	PROXY_FOUND,
	PROXY_ABSENT,
	PROXY_FAILED, /* not known now */
	PROXY_DENIED, /* proxy_read_maps does not name the table */
};

enum { PROXY_KEY_MAX = 100000, PROXY_VALUE_MAX = 1000000 };
