/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All that decides where an address goes, loaded once from the configuration: domains,
 * tables, transports. The functions of rewrite/ are pure over this: same address, same
 * rules, same tables, same answer, always with the reason. The daemons and `hikyaku
 * explain` call the same functions.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "config/rewrite_config.h"
#include "table/maps.h"
#include "table/match.h"

struct arena;
struct config;

struct rewrite_rules {
	struct rewrite_config config;
	struct str myorigin;
	struct str myhostname;
	struct str mydomain;
	struct str recipient_delimiter;
	struct str empty_address_recipient;
	struct str double_bounce; /* the local part of local addresses to discard */
	struct match *local_domains;
	struct match *virtual_alias_domains;
	struct match *virtual_mailbox_domains;
	struct match *relay_domains;
	struct maps *transport;
	struct maps *sender_relayhost;
	struct maps *sender_transport;
	struct maps *virtual_alias;
	struct maps *canonical;
	struct maps *sender_canonical;
	struct maps *recipient_canonical;
	struct maps *relocated;
	struct match *masquerade_exceptions;
	const struct str
		*own_addresses; /* inet_interfaces and proxy_interfaces, as text */
	size_t n_own_addresses;
	struct str own_warning;         /* empty: none */
	bool transport_matches_parents; /* transport_maps in
					   parent_domain_matches_subdomains */
	bool propagate_canonical;
	bool propagate_virtual;
	bool propagate_generic;
	bool utf8; /* smtputf8_enable: domains beyond ASCII are allowed */
};

/* own: addresses of this machine as text, kept by reference; NULL: those of
 * inet_interfaces and proxy_interfaces (rewrite/own.h). The rules live in the arena. */
bool rewrite_rules_load(struct arena *mem, const struct config *cfg,
			const struct str *own, size_t n_own, struct rewrite_rules *out,
			struct err *err) MUST_CHECK;

/* The same rules for probes of addresses, which have parameters of their own for where they
 * go (address_verify_transport_maps and so on). */
bool rewrite_rules_load_probes(struct arena *mem, const struct config *cfg,
			       const struct rewrite_rules *rules,
			       struct rewrite_rules *out, struct err *err) MUST_CHECK;

/* Only what says which addresses are our own and how they are written: mydestination is
 * the one list that is opened, the other lists and all tables stay NULL. For
 * rewrite_form() and keys_find_address() with a table of the caller's. */
bool rewrite_rules_load_own(struct arena *mem, const struct config *cfg,
			    struct rewrite_rules *out, struct err *err) MUST_CHECK;

/* Are the words of canonical_classes and its like known? For those who ask these tables;
 * nobody else need stop for a wrong one. */
bool rewrite_rules_check_classes(const struct rewrite_rules *rules,
				 struct err *err) MUST_CHECK;

/* Where the files of all these tables and lists lie, and those of more parameters'
 * values: see table/places.h. */
const char *const *rewrite_rules_places(struct arena *mem,
					const struct rewrite_rules *rules,
					const struct str *more, size_t n_more);

/* Everything the tables complained of when they were opened, one text each, through fn.
 */
void rewrite_rules_warnings(const struct rewrite_rules *rules,
			    void (*fn)(void *arg, const char *text), void *arg);

/* Is the domain one that local_transport delivers: in mydestination, or one of our
 * addresses in brackets? what_out: which parameter says so. */
enum match_result rewrite_is_local(const struct rewrite_rules *rules, struct str domain,
				   const char **what_out, struct err *err);
