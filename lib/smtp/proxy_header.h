/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The header that a proxy puts before a connection to say who the client is: the PROXY
 * protocol of HAProxy, version 1 (a line of text) and 2 (binary). Pure.
 *
 * Limits: a header of version 1 has PROXY_V1_MAX bytes, one of version 2 PROXY_V2_MAX.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

enum { PROXY_V1_MAX = 107, PROXY_V2_MAX = 2048 };

struct proxy_header {
	size_t length;   /* of the header; what follows is the client's */
	bool keeps_peer; /* the proxy speaks for itself, or does not know: no addresses */
	bool is_v6;
	struct str client_address, client_port;
	struct str server_address, server_port;
};

enum proxy_result {
	PROXY_DONE,
	PROXY_MORE, /* it is not all there yet */
	PROXY_BAD,  /* *why_out tells, in Postfix's words */
};

/* input: all that has come so far. ipv4, ipv6: inet_protocols. */
enum proxy_result proxy_header_parse(struct arena *mem, struct str input, bool ipv4,
				     bool ipv6, struct proxy_header *out,
				     const char **why_out);
