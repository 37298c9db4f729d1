/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/resolve.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"

#include "rewrite/form.h"
#include "rewrite/keys.h"
#include "rewrite/rules.h"

struct resolution {
	struct arena *mem;
	const struct rewrite_rules *rules;
	struct str sender;
	struct str local, domain; /* of the recipient */
	bool has_domain;
	bool is_local;
	const char *local_parameter; /* that says so */
	struct route *route;
	struct err *err;
};

const char *address_class_name(enum address_class class)
{
	switch (class) {
	case CLASS_LOCAL:
		return "local";
	case CLASS_VIRTUAL_ALIAS:
		return "virtual alias";
	case CLASS_VIRTUAL_MAILBOX:
		return "virtual mailbox";
	case CLASS_RELAY:
		return "relay";
	case CLASS_DEFAULT:
		return "other";
	}
	return "unknown";
}

static void
because(struct resolution *x, const char *what, const char *parameter, struct str value,
	const struct keys_hit *hit)
{
	struct route *r = x->route;

	if (r->n_reasons == RESOLVE_REASONS_MAX)
		return;
	r->reasons[r->n_reasons++] = (struct resolve_reason){
		.what = what,
		.parameter = parameter,
		.value = value,
		.key = hit != NULL ? hit->key : STR_EMPTY,
		.table = hit != NULL ? hit->hit.table : NULL,
	};
}

static enum resolve_result
temporary(struct resolution *x)
{
	x->err->kind = ERR_TEMP;
	return RESOLVE_TEMP;
}

static enum resolve_result
bad(struct resolution *x, const char *why)
{
	IGNORE(err_set(x->err, ERR_PERM, "%s", why));
	return RESOLVE_BAD;
}

/* "transport:nexthop": the parts; nexthop empty where none is given. */
static void
split_transport(struct str value, struct str *transport, struct str *nexthop)
{
	*transport = value;
	*nexthop = STR_EMPTY;
	IGNORE(str_split(value, ':', transport, nexthop));
}

/* ---- the domain ---- */

/* Operators are looked for in the local part as it is, or (resolve_dequoted_address = no)
 * only where it could stand without quotes. */
static bool
has_visible_operators(struct resolution *x)
{
	return x->rules->config.resolve_dequoted_address ||
	       str_eq(address_quote_local(x->mem, x->local), x->local);
}

/* A local part in one of our domains may name another place: "user@site", "site!user",
 * "user%site". True: local and domain are set to that. */
static bool
follow_route(struct resolution *x)
{
	const struct rewrite_config *c = &x->rules->config;
	struct str local = x->local;
	size_t percent = str_rindex(local, '%');

	if (!has_visible_operators(x))
		return false;
	if (!address_split(local, &x->local, &x->domain) &&
	    !(c->swap_bangpath && str_split(local, '!', &x->domain, &x->local))) {
		if (!c->allow_percent_hack || percent == local.len)
			return false;
		x->local = str_head(local, percent);
		x->domain = str_skip(local, percent + 1);
	}
	if (c->append_dot_mydomain && x->domain.len > 0 && x->domain.p[0] != '[' &&
	    !str_contains(x->domain, '.'))
		x->domain = str_printf(x->mem, PRI_STR "." PRI_STR, STR_ARG(x->domain),
				       STR_ARG(x->rules->mydomain));
	return true;
}

/* The dot that says "complete"; two of them are an error for check_domain(). */
static void
drop_trailing_dot(struct resolution *x)
{
	size_t len = x->domain.len;

	if (len > 1 && x->domain.p[len - 1] == '.' && x->domain.p[len - 2] != '.')
		x->domain.len--;
}

static enum match_result
is_our_domain(struct resolution *x)
{
	struct str address;

	if (x->domain.len == 0)
		return x->rules->config.resolve_null_domain ? MATCH_YES : MATCH_NO;
	if (x->rules->config.resolve_numeric_domain && hostaddr_is_valid(x->domain)) {
		address = x->domain;
		x->domain = str_printf(x->mem, "[" PRI_STR "]", STR_ARG(address));
	}
	return rewrite_is_local(x->rules, x->domain, &x->local_parameter, x->err);
}

/* Strip our domain and look again, as often as the local part names another place. Each
 * round makes the local part shorter, so that there is an end. */
static enum resolve_result
find_domain(struct resolution *x)
{
	struct str ours = STR_EMPTY; /* the last of our domains that was stripped */

	for (;;) {
		if (x->has_domain) {
			drop_trailing_dot(x);
			switch (is_our_domain(x)) {
			case MATCH_FAILED:
				return temporary(x);
			case MATCH_NO:
				return RESOLVE_OK;
			case MATCH_YES:
				break;
			}
			if (x->domain.len > 0)
				ours = x->domain;
		}
		if (!follow_route(x)) {
			x->is_local = true;
			x->domain = ours.len > 0 ? ours : x->rules->myhostname;
			if (x->local.len == 0)
				x->local = x->rules->empty_address_recipient;
			return RESOLVE_OK;
		}
		x->has_domain = true;
	}
}

static enum resolve_result
check_domain(struct resolution *x)
{
	struct str literal;
	struct err why;

	if (literal_parse(x->domain, &literal))
		return RESOLVE_OK;
	if (!hostname_check(x->domain, x->rules->utf8, &why))
		return bad(x, "bad address syntax");
	return RESOLVE_OK;
}

static enum resolve_result
check_local_part(struct resolution *x)
{
	x->route->is_routed = str_index_any(x->local, "@%!") < x->local.len;
	if (x->local.len > 0 && x->local.p[0] == '-' && !x->rules->config.allow_min_user)
		return bad(x, "bad address syntax");
	return RESOLVE_OK;
}

/* ---- class ---- */

static void
set_transport(struct resolution *x, const char *parameter, struct str value)
{
	struct str nexthop;

	split_transport(value, &x->route->transport, &nexthop);
	because(x, "transport", parameter, value, NULL);
	if (nexthop.len > 0) {
		x->route->nexthop = nexthop;
		because(x, "next hop", parameter, value, NULL);
	}
}

struct class_row {
	enum address_class class;
	const char *parameter;
	struct match *match;
};

static void
warn_if_both(struct resolution *x, const struct class_row *rows, size_t n, size_t won)
{
	for (size_t i = won + 1; i < n; i++) {
		struct err ignored;

		if (rows[i].class == CLASS_RELAY ||
		    match_find(rows[i].match, x->domain, NULL, &ignored) != MATCH_YES)
			continue;
		x->route->warning = str_printf(
			x->mem, "do not list domain " PRI_STR " in BOTH %s and %s",
			STR_ARG(x->domain), rows[won].parameter, rows[i].parameter);
		return;
	}
}

static enum resolve_result
find_class(struct resolution *x)
{
	const struct class_row rows[] = {
		{CLASS_LOCAL, "mydestination", x->rules->local_domains},
		{CLASS_VIRTUAL_ALIAS, "virtual_alias_domains",
		 x->rules->virtual_alias_domains},
		{CLASS_VIRTUAL_MAILBOX, "virtual_mailbox_domains",
		 x->rules->virtual_mailbox_domains},
		{CLASS_RELAY, "relay_domains", x->rules->relay_domains},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *what = rows[i].parameter;
		enum match_result m = MATCH_NO;

		if (rows[i].class != CLASS_LOCAL)
			m = match_find(rows[i].match, x->domain, NULL, x->err);
		else if (x->is_local) {
			m = MATCH_YES;
			what = x->local_parameter;
		}

		if (m == MATCH_FAILED)
			return temporary(x);
		if (m == MATCH_NO)
			continue;
		x->route->class = rows[i].class;
		because(x, "class", what, x->domain, NULL);
		warn_if_both(x, rows, ARRAY_LEN(rows), i);
		return RESOLVE_OK;
	}
	x->route->class = CLASS_DEFAULT;
	return RESOLVE_OK;
}

/* ---- transport and next hop ---- */

/* A table that is asked for the sender. "DUNNO" is no answer. */
static enum lookup
find_for_sender(struct resolution *x, struct maps *maps, struct str null_key,
		struct keys_hit *hit)
{
	enum lookup result;

	if (x->sender.len > 0) {
		result = keys_find_address(x->mem, x->rules, maps, x->sender,
					   KEYS_USER | KEYS_DOMAIN, hit, x->err);
	} else {
		/* Not an address: asked for as it is. */
		*hit = (struct keys_hit){.key = null_key, .extension = STR_EMPTY};
		result = maps_find(maps, x->mem, null_key, MAPS_ALL, &hit->hit, x->err);
	}
	if (result == LOOKUP_FOUND && str_ieq(hit->hit.value, STR("DUNNO")))
		return LOOKUP_ABSENT;
	return result;
}

static enum resolve_result
choose_relayhost(struct resolution *x)
{
	const struct rewrite_config *c = &x->rules->config;
	struct keys_hit hit;

	x->route->nexthop = x->domain;
	switch (find_for_sender(x, x->rules->sender_relayhost,
				c->empty_address_relayhost_maps_lookup_key, &hit)) {
	case LOOKUP_FAILED:
		return temporary(x);
	case LOOKUP_FOUND:
		x->route->nexthop = hit.hit.value;
		because(x, "next hop", "sender_dependent_relayhost_maps", hit.hit.value,
			&hit);
		return RESOLVE_OK;
	case LOOKUP_ABSENT:
		break;
	}
	if (c->relayhost.len > 0) {
		x->route->nexthop = c->relayhost;
		because(x, "next hop", "relayhost", c->relayhost, NULL);
	}
	return RESOLVE_OK;
}

static enum resolve_result
choose_default(struct resolution *x)
{
	const struct rewrite_config *c = &x->rules->config;
	enum resolve_result result = choose_relayhost(x);
	struct keys_hit hit;
	struct str nexthop;

	if (result != RESOLVE_OK || x->route->class == CLASS_RELAY) {
		set_transport(x, "relay_transport", c->relay_transport);
		return result;
	}
	switch (find_for_sender(x, x->rules->sender_transport,
				c->empty_address_default_transport_maps_lookup_key,
				&hit)) {
	case LOOKUP_FAILED:
		return temporary(x);
	case LOOKUP_ABSENT:
		set_transport(x, "default_transport", c->default_transport);
		return RESOLVE_OK;
	case LOOKUP_FOUND:
		break;
	}
	split_transport(hit.hit.value, &x->route->transport, &nexthop);
	if (x->route->transport.len == 0) {
		IGNORE(err_set(x->err, ERR_CONFIG,
			       "sender_dependent_default_transport_maps: no transport in "
			       "\"" PRI_STR "\"",
			       STR_ARG(hit.hit.value)));
		return temporary(x);
	}
	because(x, "transport", "sender_dependent_default_transport_maps", hit.hit.value,
		&hit);
	if (nexthop.len > 0) {
		x->route->nexthop = nexthop;
		because(x, "next hop", "sender_dependent_default_transport_maps",
			hit.hit.value, &hit);
	}
	return RESOLVE_OK;
}

static enum resolve_result
choose_by_class(struct resolution *x)
{
	const struct rewrite_config *c = &x->rules->config;

	switch (x->route->class) {
	case CLASS_LOCAL:
		x->route->nexthop = x->domain;
		set_transport(x, "local_transport", c->local_transport);
		return RESOLVE_OK;
	case CLASS_VIRTUAL_ALIAS:
		/* Had it an alias, it would not be in this domain any more. */
		x->route->transport = STR("error");
		x->route->nexthop =
			c->show_user_unknown_table_name
				? STR("5.1.1 User unknown in virtual alias table")
				: STR("5.1.1 User unknown");
		because(x, "transport", "virtual_alias_domains", x->domain, NULL);
		return RESOLVE_OK;
	case CLASS_VIRTUAL_MAILBOX:
		x->route->nexthop = x->domain;
		set_transport(x, "virtual_transport", c->virtual_transport);
		return RESOLVE_OK;
	case CLASS_RELAY:
	case CLASS_DEFAULT:
		break;
	}
	return choose_default(x);
}

static bool
needs_text(struct str transport)
{
	return str_eq(transport, STR("error")) || str_eq(transport, STR("retry"));
}

static enum resolve_result
apply_transport_maps(struct resolution *x)
{
	struct str address = address_join(x->mem, x->local, x->domain);
	struct keys_hit hit;
	struct str transport;
	struct str nexthop;

	if (x->route->class == CLASS_VIRTUAL_ALIAS)
		return RESOLVE_OK;
	switch (keys_find_transport(x->mem, x->rules, address, &hit, x->err)) {
	case LOOKUP_FAILED:
		return temporary(x);
	case LOOKUP_ABSENT:
		return RESOLVE_OK;
	case LOOKUP_FOUND:
		break;
	}
	split_transport(str_trim(hit.hit.value), &transport, &nexthop);
	if (transport.len > 0) {
		x->route->transport = transport;
		/* A transport without a next hop does not use the relay host. */
		x->route->nexthop = x->domain;
		if (nexthop.len == 0 && needs_text(transport))
			x->route->nexthop = STR("Address is undeliverable");
	}
	if (nexthop.len > 0)
		x->route->nexthop = nexthop;
	if (transport.len > 0)
		because(x, "transport", "transport_maps", hit.hit.value, &hit);
	if (transport.len > 0 || nexthop.len > 0)
		because(x, "next hop", "transport_maps", hit.hit.value, &hit);
	return RESOLVE_OK;
}

static enum resolve_result
apply_relocated(struct resolution *x)
{
	struct keys_hit hit;

	switch (keys_find_address(x->mem, x->rules, x->rules->relocated,
				  address_join(x->mem, x->local, x->domain),
				  KEYS_USER | KEYS_DOMAIN, &hit, x->err)) {
	case LOOKUP_FAILED:
		return temporary(x);
	case LOOKUP_ABSENT:
		return RESOLVE_OK;
	case LOOKUP_FOUND:
		break;
	}
	x->route->transport = STR("error");
	x->route->nexthop = str_printf(x->mem, "5.1.6 User has moved to " PRI_STR,
				       STR_ARG(hit.hit.value));
	because(x, "transport", "relocated_maps", hit.hit.value, &hit);
	return RESOLVE_OK;
}

enum resolve_result
resolve_address(struct arena *mem, const struct rewrite_rules *rules, struct str sender,
		struct str recipient, struct route *out, struct err *err)
{
	static enum resolve_result (*const steps[])(struct resolution * x) = {
		find_domain,     check_domain,         check_local_part, find_class,
		choose_by_class, apply_transport_maps, apply_relocated,
	};
	struct route route = {.nexthop = STR_EMPTY, .warning = STR_EMPTY};
	struct resolution x = {.mem = mem,
			       .rules = rules,
			       .sender = sender,
			       .route = &route,
			       .local_parameter = "mydestination",
			       .err = err};
	struct str final;

	x.has_domain = address_split(recipient, &x.local, &x.domain);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		enum resolve_result result = steps[i](&x);

		if (result != RESOLVE_OK)
			return result;
	}
	final = address_join(mem, x.local, x.domain);
	route.recipient = final;
	*out = route;
	return RESOLVE_OK;
}
