/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/rules.h"

#include "base/arena.h"
#include "base/macros.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/value.h"
#include "mail/address.h"
#include "table/places.h"
#include "table/table.h"

#include "rewrite/canonical.h"
#include "rewrite/own.h"

static bool
open_maps(struct arena *mem, struct rewrite_rules *r, struct err *err)
{
	const struct {
		const char *title;
		struct str text;
		struct maps **maps;
	} rows[] = {
		{"transport_maps", r->config.transport_maps, &r->transport},
		{"sender_dependent_relayhost_maps",
		 r->config.sender_dependent_relayhost_maps, &r->sender_relayhost},
		{"sender_dependent_default_transport_maps",
		 r->config.sender_dependent_default_transport_maps, &r->sender_transport},
		{"virtual_alias_maps", r->config.virtual_alias_maps, &r->virtual_alias},
		{"canonical_maps", r->config.canonical_maps, &r->canonical},
		{"sender_canonical_maps", r->config.sender_canonical_maps,
		 &r->sender_canonical},
		{"recipient_canonical_maps", r->config.recipient_canonical_maps,
		 &r->recipient_canonical},
		{"relocated_maps", r->config.relocated_maps, &r->relocated},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!maps_open(mem, rows[i].title, rows[i].text, TABLE_DEFAULT,
			       rows[i].maps, err))
			return false;
	}
	return true;
}

static bool
open_lists(struct arena *mem, struct rewrite_rules *r, struct err *err)
{
	const struct {
		const char *title;
		struct str text;
		struct match **match;
		enum match_kind kind; /* only relay_domains knows of subdomains */
	} rows[] = {
		{"mydestination", r->config.mydestination, &r->local_domains,
		 MATCH_STRINGS},
		{"virtual_alias_domains", r->config.virtual_alias_domains,
		 &r->virtual_alias_domains, MATCH_STRINGS},
		{"virtual_mailbox_domains", r->config.virtual_mailbox_domains,
		 &r->virtual_mailbox_domains, MATCH_STRINGS},
		{"relay_domains", r->config.relay_domains, &r->relay_domains,
		 MATCH_DOMAINS},
		{"masquerade_exceptions", r->config.masquerade_exceptions,
		 &r->masquerade_exceptions, MATCH_STRINGS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool parents =
			list_has_exactly(r->config.parent_domain_matches_subdomains,
					 str_from(rows[i].title));

		if (!match_open(mem, rows[i].kind, rows[i].title, rows[i].text,
				parents ? MATCH_PARENT : 0, rows[i].match, err))
			return false;
	}
	return true;
}

bool
rewrite_rules_check_classes(const struct rewrite_rules *rules, struct err *err)
{
	const struct rewrite_config *c = &rules->config;

	return canonical_class_check("canonical_classes", c->canonical_classes, err) &&
	       canonical_class_check("sender_canonical_classes",
				     c->sender_canonical_classes, err) &&
	       canonical_class_check("recipient_canonical_classes",
				     c->recipient_canonical_classes, err) &&
	       canonical_class_check("masquerade_classes", c->masquerade_classes, err);
}

static bool
load_values(struct arena *mem, const struct config *cfg, struct rewrite_rules *r,
	    struct err *err)
{
	struct common_config common;
	struct str propagate;

	if (!common_config_load(mem, cfg, &common, err) ||
	    !rewrite_config_load(mem, cfg, &r->config, err))
		return false;
	if (r->own_addresses == NULL) {
		struct own_addresses found;

		own_addresses_load(mem, common.inet_interfaces, common.proxy_interfaces,
				   &found);
		r->own_addresses = found.list;
		r->n_own_addresses = found.n;
		r->own_warning = found.warning;
	}
	r->myorigin = common.myorigin;
	r->myhostname = common.myhostname;
	r->mydomain = common.mydomain;
	r->recipient_delimiter = common.recipient_delimiter;
	r->utf8 = common.smtputf8_enable;
	r->empty_address_recipient = common.empty_address_recipient;
	r->double_bounce = common.double_bounce_sender;
	r->transport_matches_parents = list_has_exactly(
		r->config.parent_domain_matches_subdomains, STR("transport_maps"));
	propagate = r->config.propagate_unmatched_extensions;
	r->propagate_canonical = list_has_exactly(propagate, STR("canonical"));
	r->propagate_virtual = list_has_exactly(propagate, STR("virtual"));
	r->propagate_generic = list_has_exactly(propagate, STR("generic"));
	return true;
}

bool
rewrite_rules_load(struct arena *mem, const struct config *cfg, const struct str *own,
		   size_t n_own, struct rewrite_rules *out, struct err *err)
{
	struct rewrite_rules r = {
		.own_addresses = own, .n_own_addresses = n_own, .own_warning = STR_EMPTY};

	if (!load_values(mem, cfg, &r, err) || !open_maps(mem, &r, err) ||
	    !open_lists(mem, &r, err))
		return false;
	*out = r;
	return true;
}

bool
rewrite_rules_load_own(struct arena *mem, const struct config *cfg,
		       struct rewrite_rules *out, struct err *err)
{
	struct rewrite_rules r = {.own_warning = STR_EMPTY};

	if (!load_values(mem, cfg, &r, err) ||
	    !match_open(mem, MATCH_STRINGS, "mydestination", r.config.mydestination,
			list_has_exactly(r.config.parent_domain_matches_subdomains,
					 STR("mydestination"))
				? MATCH_PARENT
				: 0,
			&r.local_domains, err))
		return false;
	*out = r;
	return true;
}

const char *const *
rewrite_rules_places(struct arena *mem, const struct rewrite_rules *rules,
		     const struct str *more, size_t n_more)
{
	const struct rewrite_config *c = &rules->config;
	const struct str own[] = {
		c->transport_maps,
		c->sender_dependent_relayhost_maps,
		c->sender_dependent_default_transport_maps,
		c->virtual_alias_maps,
		c->canonical_maps,
		c->sender_canonical_maps,
		c->recipient_canonical_maps,
		c->relocated_maps,
		c->mydestination,
		c->virtual_alias_domains,
		c->virtual_mailbox_domains,
		c->relay_domains,
		c->masquerade_exceptions,
	};
	struct str *all = arena_alloc_array(mem, ARRAY_LEN(own) + n_more, sizeof(*all));

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		all[i] = own[i];
	for (size_t i = 0; i < n_more; i++)
		all[ARRAY_LEN(own) + i] = more[i];
	return table_places(mem, all, ARRAY_LEN(own) + n_more);
}

void
rewrite_rules_warnings(const struct rewrite_rules *rules,
		       void (*fn)(void *arg, const char *text), void *arg)
{
	struct maps *const maps[] = {rules->transport,           rules->sender_relayhost,
				     rules->sender_transport,    rules->virtual_alias,
				     rules->canonical,           rules->sender_canonical,
				     rules->recipient_canonical, rules->relocated};
	struct match *const lists[] = {rules->local_domains, rules->virtual_alias_domains,
				       rules->virtual_mailbox_domains,
				       rules->relay_domains,
				       rules->masquerade_exceptions};
	const char *const *texts;

	if (rules->own_warning.len > 0)
		fn(arg, rules->own_warning.p);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		size_t n = maps_warnings(maps[i], &texts);

		for (size_t k = 0; k < n; k++)
			fn(arg, texts[k]);
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		size_t n = match_warnings(lists[i], &texts);

		for (size_t k = 0; k < n; k++)
			fn(arg, texts[k]);
	}
}

enum match_result
rewrite_is_local(const struct rewrite_rules *rules, struct str domain,
		 const char **what_out, struct err *err)
{
	struct str literal;

	*what_out = "mydestination";
	if (!literal_parse(domain, &literal))
		return match_find(rules->local_domains, domain, NULL, err);
	*what_out = "inet_interfaces";
	if (own_addresses_has(rules->own_addresses, rules->n_own_addresses, literal))
		return MATCH_YES;
	*what_out = "mydestination";
	return match_find(rules->local_domains, domain, NULL, err);
}
