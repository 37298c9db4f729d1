/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asking tables for an address: which of its parts are tried, and in which order.
 * Addresses come in internal form; the tables see them quoted where that is needed.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "table/maps.h"

struct arena;
struct rewrite_rules;

enum keys_parts {
	KEYS_USER = 1u << 0,   /* the bare user, when the domain is ours */
	KEYS_DOMAIN = 1u << 1, /* "@domain" */
};

struct keys_hit {
	struct maps_hit hit;
	struct str key;       /* that was found */
	struct str extension; /* cut off to find it, without delimiter; empty if none */
	char delimiter;
};

/* user+ext@domain, user@domain, user+ext, user, @domain; absent without maps. */
enum lookup keys_find_address(struct arena *mem, const struct rewrite_rules *rules,
			      struct maps *maps, struct str address, unsigned parts,
			      struct keys_hit *out, struct err *err) MUST_CHECK;

/* user+ext@domain, user@domain, domain, parent domains, "*": for transport_maps. */
enum lookup keys_find_transport(struct arena *mem, const struct rewrite_rules *rules,
				struct str address, struct keys_hit *out,
				struct err *err) MUST_CHECK;
