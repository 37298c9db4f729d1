/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: parameters to lists, tables and networks.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"

#include "config/common_config.h"
#include "config/config.h"
#include "config/value.h"
#include "rewrite/rules.h"

#include "access/restrict_internal.h"
#include "access/rules_internal.h"

void
rules_warn(struct access_rules *rules, const char *text)
{
	if (rules->n_warnings == rules->warnings_size) {
		size_t size = rules->warnings_size * 2 + 8;
		const char **bigger =
			arena_alloc_array(rules->mem, size, sizeof(*bigger));

		if (rules->n_warnings > 0)
			memcpy(bigger, rules->warnings,
			       rules->n_warnings * sizeof(*bigger));
		rules->warnings = bigger;
		rules->warnings_size = size;
	}
	rules->warnings[rules->n_warnings++] = arena_strdup(rules->mem, text);
}

static void
add_value(struct access_rules *rules, struct str value)
{
	if (value.len > 0 && rules->n_values < ACCESS_VALUES_MAX)
		rules->values[rules->n_values++] = value;
}

static bool
open_maps(struct access_rules *r, struct err *err)
{
	const struct {
		const char *title;
		struct str text;
		struct maps **maps;
	} rows[] = {
		{"local_recipient_maps", r->c.local_recipient_maps, &r->local_recipients},
		{"relay_recipient_maps", r->c.relay_recipient_maps, &r->relay_recipients},
		{"virtual_mailbox_maps", r->c.virtual_mailbox_maps,
		 &r->virtual_mailboxes},
		{"rbl_reply_maps", r->c.rbl_reply_maps, &r->rbl_replies},
		{"smtpd_reject_footer_maps", r->c.smtpd_reject_footer_maps, &r->footers},
		{"smtpd_sender_login_maps", r->c.smtpd_sender_login_maps,
		 &r->sender_logins},
		{"relay_clientcerts", r->c.relay_clientcerts, &r->relay_certificates},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const *texts;
		size_t n;

		if (!maps_open(r->mem, rows[i].title, rows[i].text, TABLE_DEFAULT,
			       rows[i].maps, err))
			return false;
		n = maps_warnings(*rows[i].maps, &texts);
		for (size_t k = 0; k < n; k++)
			rules_warn(r, texts[k]);
		add_value(r, rows[i].text);
	}
	return true;
}

static bool
open_matches(struct access_rules *r, struct err *err)
{
	const struct {
		const char *title;
		struct str text;
		struct match **match;
		enum match_kind kind;
	} rows[] = {
		{"mynetworks", r->c.mynetworks, &r->mynetworks, MATCH_ADDRESSES},
		{"permit_mx_backup_networks", r->c.permit_mx_backup_networks,
		 &r->mx_backup_networks, MATCH_ADDRESSES},
		{"smtpd_log_access_permit_actions", r->c.smtpd_log_access_permit_actions,
		 &r->log_permit, MATCH_STRINGS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool parents = list_has_exactly(
			r->rewrite->config.parent_domain_matches_subdomains,
			str_from(rows[i].title));
		const char *const *texts;
		size_t n;

		if (!match_open(r->mem, rows[i].kind, rows[i].title, rows[i].text,
				parents ? MATCH_PARENT : 0, rows[i].match, err))
			return false;
		n = match_warnings(*rows[i].match, &texts);
		for (size_t k = 0; k < n; k++)
			rules_warn(r, texts[k]);
		add_value(r, rows[i].text);
	}
	return true;
}

static bool
load_classes(struct access_rules *r, const struct config *cfg, struct err *err)
{
	struct str rest = r->c.smtpd_restriction_classes;
	struct str name;
	size_t n = 0;

	for (struct str s = rest; list_next(&s, &name);)
		n++;
	r->classes = arena_alloc_array(r->mem, n, sizeof(*r->classes));
	while (list_next(&rest, &name)) {
		struct item_list *list = &r->classes[r->n_classes];
		struct str value;

		if (!config_get(r->mem, cfg, name, &value, err))
			return false;
		if (str_trim(value).len == 0)
			return err_set(err, ERR_CONFIG,
				       "restriction class `" PRI_STR
				       "' needs a definition",
				       STR_ARG(name));
		if (!item_list_parse(r->mem, r, str_c(r->mem, name), value, list, err))
			return false;
		r->n_classes++;
		add_value(r, value);
	}
	return true;
}

static bool
load_lists(struct access_rules *r, struct err *err)
{
	const struct {
		const char *name;
		struct str text;
	} rows[LIST_COUNT] = {
		[LIST_CLIENT] = {"smtpd_client_restrictions",
				 r->c.smtpd_client_restrictions},
		[LIST_HELO] = {"smtpd_helo_restrictions", r->c.smtpd_helo_restrictions},
		[LIST_SENDER] = {"smtpd_sender_restrictions",
				 r->c.smtpd_sender_restrictions},
		[LIST_RELAY] = {"smtpd_relay_restrictions",
				r->c.smtpd_relay_restrictions},
		[LIST_RECIPIENT] = {"smtpd_recipient_restrictions",
				    r->c.smtpd_recipient_restrictions},
		[LIST_DATA] = {"smtpd_data_restrictions", r->c.smtpd_data_restrictions},
		[LIST_END_OF_DATA] = {"smtpd_end_of_data_restrictions",
				      r->c.smtpd_end_of_data_restrictions},
		[LIST_ETRN] = {"smtpd_etrn_restrictions", r->c.smtpd_etrn_restrictions},
		[LIST_REWRITE] = {"local_header_rewrite_clients",
				  r->c.local_header_rewrite_clients},
	};

	for (size_t i = 0; i < LIST_COUNT; i++) {
		if (!item_list_parse(r->mem, r, rows[i].name, rows[i].text, &r->lists[i],
				     err))
			return false;
		add_value(r, rows[i].text);
	}
	return true;
}

/* Names that are neither a restriction nor a class: once at start, and again where they
 * are reached. */
static void
warn_unknown(struct access_rules *r, const struct item_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct item *item = &list->items[i];

		if (item->row == NULL && !item->is_table &&
		    class_find(r, item->name) == NULL)
			rules_warn(r, str_printf(r->mem,
						 "%s: unknown smtpd restriction: "
						 "\"" PRI_STR "\"",
						 list->name, STR_ARG(item->name))
					      .p);
	}
}

/* ---- is the relay closed? ---- */

static bool
closes_relay(const struct item *item)
{
	static const char *const names[] = {
		"reject_unauth_destination",
		"defer_unauth_destination",
		"reject",
		"defer",
		"defer_if_permit",
		"check_relay_domains",
	};

	for (size_t i = 0; item->row != NULL && i < ARRAY_LEN(names); i++) {
		if (str_eq(item->row->name, str_from(names[i])))
			return true;
	}
	return false;
}

static bool
list_closes_relay(const struct access_rules *r, const struct item_list *list,
		  unsigned depth)
{
	for (size_t i = 0; i < list->n && depth < ACCESS_DEPTH_MAX; i++) {
		const struct item *item = &list->items[i];
		const struct item_list *class;

		if (item->warn)
			continue;
		if (closes_relay(item))
			return true;
		if (item->row != NULL && item->row->run == restrict_permit)
			return false;
		class = item->row == NULL ? class_find(r, item->name) : NULL;
		if (class != NULL && list_closes_relay(r, class, depth + 1))
			return true;
	}
	return false;
}

static bool
check_relay(const struct access_rules *r, struct err *err)
{
	if (list_closes_relay(r, &r->lists[LIST_RELAY], 0) ||
	    list_closes_relay(r, &r->lists[LIST_RECIPIENT], 0))
		return true;
	return err_set(err, ERR_CONFIG,
		       "in parameter smtpd_relay_restrictions or "
		       "smtpd_recipient_restrictions, specify at least one working "
		       "instance of: reject_unauth_destination, "
		       "defer_unauth_destination, reject, defer, defer_if_permit or "
		       "check_relay_domains");
}

static bool
load_action(const char *name, struct str value, bool *defer_out, struct err *err)
{
	*defer_out = str_ieq(value, STR("defer"));
	if (*defer_out || str_ieq(value, STR("defer_if_permit")))
		return true;
	return err_set(err, ERR_CONFIG, "bad parameter value: '%s = " PRI_STR "'", name,
		       STR_ARG(value));
}

static void
list_policies(struct access_rules *r)
{
	const struct map_entry *entry;
	size_t at = 0;
	size_t n = 0;

	while (map_next(r->policies, &at) != NULL)
		n++;
	r->policy_list = arena_alloc_array(r->mem, n, sizeof(struct policy_service *));
	for (at = 0; (entry = map_next(r->policies, &at)) != NULL;)
		r->policy_list[r->n_policies++] = entry->value;
}

static bool
load_all(struct access_rules *r, const struct config *cfg, struct err *err)
{
	struct common_config common;

	if (!config_get_bool(cfg, STR("smtpd_sasl_auth_enable"), &r->has_sasl, err))
		return false;
	if (!access_config_load(r->mem, cfg, &r->c, err) ||
	    !policy_config_load(r->mem, cfg, &r->policy_config, err) ||
	    !common_config_load(r->mem, cfg, &common, err))
		return false;
	r->soft_bounce = common.soft_bounce;
	r->hostname = common.myhostname;
	r->parents = list_has_exactly(r->rewrite->config.parent_domain_matches_subdomains,
				      STR("smtpd_access_maps"));
	if (!load_action("unknown_address_tempfail_action",
			 r->c.unknown_address_tempfail_action, &r->defer_unknown_address,
			 err) ||
	    !load_action("unknown_helo_hostname_tempfail_action",
			 r->c.unknown_helo_hostname_tempfail_action,
			 &r->defer_unknown_helo, err) ||
	    !load_action("unverified_sender_tempfail_action",
			 r->c.unverified_sender_tempfail_action,
			 &r->defer_unverified_sender, err) ||
	    !load_action("unverified_recipient_tempfail_action",
			 r->c.unverified_recipient_tempfail_action,
			 &r->defer_unverified_recipient, err) ||
	    !open_maps(r, err) || !open_matches(r, err) || !load_classes(r, cfg, err) ||
	    !load_lists(r, err))
		return false;
	for (size_t i = 0; i < r->n_classes; i++)
		warn_unknown(r, &r->classes[i]);
	for (size_t i = 0; i < LIST_REWRITE; i++)
		warn_unknown(r, &r->lists[i]);
	if (r->fatal != NULL)
		return err_set(err, ERR_CONFIG, "%s", r->fatal);
	list_policies(r);
	return check_relay(r, err);
}

bool
access_rules_load(struct arena *mem, const struct config *cfg,
		  const struct rewrite_rules *rewrite, struct access_rules **rules_out,
		  struct err *err)
{
	struct access_rules *r = ARENA_NEW(mem, struct access_rules);

	r->mem = mem;
	r->rewrite = rewrite;
	r->tables = map_new_in(mem);
	r->policies = map_new_in(mem);
	if (!load_all(r, cfg, err))
		return false;
	*rules_out = r;
	return true;
}

void
access_rules_take_any_recipient(struct access_rules *rules)
{
	rules->c.smtpd_reject_unlisted_recipient = false;
}

void
access_rules_warnings(const struct access_rules *rules,
		      void (*fn)(void *arg, const char *text), void *arg)
{
	const struct map_entry *entry;
	size_t at = 0;

	for (size_t i = 0; i < rules->n_warnings; i++)
		fn(arg, rules->warnings[i]);
	while ((entry = map_next(rules->tables, &at)) != NULL) {
		const char *const *texts;
		size_t n = table_warnings(entry->value, &texts);

		for (size_t i = 0; i < n; i++)
			fn(arg, texts[i]);
	}
}

const struct policy_service *const *
access_rules_policies(const struct access_rules *rules, size_t *n_out)
{
	*n_out = rules->n_policies;
	return rules->policy_list;
}

const struct str *
access_rules_values(const struct access_rules *rules, size_t *n_out)
{
	*n_out = rules->n_values;
	return rules->values;
}
