/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * postscreen_dnsbl_sites: DNS lists with filters and weights, and the score of a client.
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "access/zone.h"
#include "dns/dns.h"

struct arena;

struct dnsbl_site {
	struct zone zone;
	int weight;
	size_t domain; /* which of the domains it is about */
};

struct dnsbl {
	struct dnsbl_site *sites;
	size_t n_sites;
	struct str *domains; /* each once: a list is asked once */
	size_t n_domains;
};

enum { DNSBL_SITES_MAX = 256 };

/* "DOMAIN[=FILTER][*WEIGHT]", comma or blank between. Texts are kept by reference. */
bool dnsbl_parse(struct arena *mem, struct str text, struct dnsbl *out,
		 struct err *err) MUST_CHECK;

/* What the answer of a domain adds to the score. A site counts once, however many of the
 * addresses it accepts. */
int dnsbl_score(const struct dnsbl *d, size_t domain, const struct dns_answer *answer);
