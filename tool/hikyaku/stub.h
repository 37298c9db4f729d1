/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asks the name servers itself, for a command that must have an answer although no mail
 * system (and so no resolver) runs. Blocking, over UDP, without a cache; types A, AAAA
 * and MX. An answer that does not fit into a datagram counts as DNS_TRY_AGAIN.
 *
 * All questions together take no longer than the budget given at the start: what would,
 * is DNS_TRY_AGAIN at once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "dns/dns.h"
#include "dns/servers.h"

enum {
	STUB_SERVER_MS = 1500, /* for one server's answer to one question */
	STUB_BUDGET_MS = 8000,
};

struct stub {
	struct dns_asker dns; /* to give to lookup_hosts() */
	struct servers servers;
	size_t first; /* the server that answered last time */
	int64_t end_ms;
};

void stub_init(struct stub *s, const struct servers *servers, int64_t budget_ms);

/* Whether the i-th server answers a question for name (for the root
 * if that is no name) with anything at all. */
bool stub_server_answers(struct stub *s, size_t i, struct str name);
