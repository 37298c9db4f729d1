/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses by the system's own means: getaddrinfo(3), so the hosts file and what
 * nsswitch.conf says. It blocks, hence in a helper thread.
 */

#include "base/str.h"

#include "dns/dns.h"

struct arena;
struct offload;

/* Blocks the fiber. type: DNS_TYPE_A or DNS_TYPE_AAAA; DNS_TYPE_PTR (of a name in
 * in-addr.arpa or ip6.arpa) asks the hosts file alone; others are DNS_NODATA. */
void native_ask(struct offload *offload, struct arena *mem, struct str name,
		enum dns_type type, struct dns_answer *answer_out);
