/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From a next hop to the addresses to try: Postfix's rules for MX and host look-ups,
 * order, loops (facts: routing 3 and 4). All questions go through a struct dns_asker,
 * chance through a seed, so the same input gives the same answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

#include "dns/dns.h"
#include "mail/dsn.h"

struct arena;

enum lookup_family { LOOKUP_ANY, LOOKUP_IPV4, LOOKUP_IPV6 };

struct lookup_rules {
	bool dns_disabled;    /* smtp_dns_support_level = disabled: native only */
	bool native;          /* smtp_host_lookup names native: also ask the hosts file */
	bool dns;             /* smtp_host_lookup names dns */
	bool ignore_mx_error; /* ignore_mx_lookup_error */
	bool defer_if_no_mx_address; /* smtp_defer_if_no_mx_address_found */
	bool randomize;              /* smtp_randomize_addresses */
	bool cname_overrides; /* smtp_cname_overrides_servername: aliases' targets */
	bool balance;         /* smtp_balance_inet_protocols */
	bool check_loops;     /* not for lmtp */
	enum lookup_family preference; /* smtp_address_preference */
	bool use_ipv4, use_ipv6;       /* inet_protocols */
	int64_t address_limit;         /* smtp_mx_address_limit; 0 = none */
	/* Our own addresses (inet_interfaces, proxy_interfaces), as text. */
	const struct str *own;
	size_t n_own;
};

struct lookup_host {
	struct str name;    /* of the host, for the log */
	struct str address; /* as text */
	int64_t preference;
	unsigned port; /* host byte order */
	struct sockaddr_storage sa;
	socklen_t sa_len;
	/* DNSSEC proved the address, and where aliases led (empty: nowhere): for TLSA
	 * records (RFC 7672 section 2.2). */
	bool is_secure;
	struct str canonical;
};

enum lookup_result {
	LOOKUP_HAVE_HOSTS, /* at least one to try */
	LOOKUP_NO_HOSTS,   /* dsn says why; class 4 or 5 */
};

struct lookup_answer {
	enum lookup_result result;
	struct lookup_host *hosts; /* in the order to try */
	size_t n_hosts;
	struct dsn dsn;
	bool by_mx;     /* the domain has MX records; else hosts are its own addresses */
	bool is_secure; /* DNSSEC proved which hosts they are (not: their addresses) */
	bool is_loop;   /* dsn is "loops back to myself" */
	bool we_are_mx; /* no fallback relay after this one */
	bool no_mx_address; /* worth a warning: no MX host has an address */
};

/* mx: look for MX records first (no brackets in the next hop). port: to put into the
 * answers, in host byte order; loops are only looked for on port 25. seed: for the order
 * of equals. */
void lookup_hosts(struct arena *mem, const struct dns_asker *dns,
		  const struct lookup_rules *rules, struct str domain, bool mx,
		  unsigned port, uint64_t seed, struct lookup_answer *out);
