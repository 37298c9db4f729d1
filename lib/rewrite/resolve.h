/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From a recipient to the transport and next hop that deliver it, and why (facts:
 * routing 1.2 to 1.4): the class of its domain, relayhost and its sender-dependent kin,
 * transport_maps, relocated users.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct rewrite_rules;

enum address_class {
	CLASS_LOCAL,
	CLASS_VIRTUAL_ALIAS,
	CLASS_VIRTUAL_MAILBOX,
	CLASS_RELAY,
	CLASS_DEFAULT
};

enum resolve_result {
	RESOLVE_OK,
	RESOLVE_BAD,  /* not an address: bounce with 5.1.3 */
	RESOLVE_TEMP, /* a table failed: defer with 4.3.0 */
};

/* What decided something, for explanations. */
struct resolve_reason {
	const char *what;      /* "class", "transport", "next hop" */
	const char *parameter; /* "relayhost" */
	struct str value;      /* of the parameter, or of the table row */
	struct str key;        /* table row that matched; empty: none */
	const char *table;     /* NULL: no table */
};

enum { RESOLVE_REASONS_MAX = 12 };

struct route {
	struct str recipient; /* in its final form */
	struct str transport;
	struct str nexthop;
	enum address_class class;
	bool is_routed; /* the local part names another place: "user%site" and the like;
			   smtpd refuses such from strangers */
	struct str warning; /* "do not list domain ... in BOTH ..."; empty: none */
	struct resolve_reason reasons[RESOLVE_REASONS_MAX];
	size_t n_reasons;
};

/* "local", "virtual alias", ... */
const char *address_class_name(enum address_class class);

enum resolve_result resolve_address(struct arena *mem, const struct rewrite_rules *rules,
				    struct str sender, struct str recipient,
				    struct route *out, struct err *err) MUST_CHECK;
