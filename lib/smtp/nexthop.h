/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Next hops as administrators write them in relayhost, smtp_fallback_relay, transport
 * tables (facts: routing 2): one destination or a list of them, each
 *
 *	domain  domain:port  [host]  [host]:port  [192.0.2.1]  [ipv6:2001:db8::1]:port
 *
 * and for LMTP also inet:host[:port] and unix:path.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum { NEXTHOP_LIST_MAX = 100 };

struct nexthop {
	struct str text;    /* as it was written */
	struct str host;    /* without brackets and "ipv6:"; unix: the path */
	struct str service; /* port as written; empty: the default port */
	unsigned port;      /* host byte order; 0 for unix */
	bool mx;            /* no brackets: look for MX records */
	bool is_unix;
};

/* One destination. default_port: number or name of a service. Errors (ERR_CONFIG) are
 * worded as Postfix's:
 * "... in server description: TEXT". */
bool nexthop_parse(struct arena *mem, struct str text, bool lmtp, struct str default_port,
		   struct nexthop *out, struct err *err) MUST_CHECK;

/* Split a list at commas and blanks; more than NEXTHOP_LIST_MAX is an error. unix: is
 * never a list. */
bool nexthop_list(struct arena *mem, struct str text, struct str **items_out,
		  size_t *count_out, struct err *err) MUST_CHECK;
