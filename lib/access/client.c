/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restrictions that look at the client: where it is, its names, its certificate, its
 * login.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "config/value.h"
#include "rewrite/keys.h"
#include "rewrite/own.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

static struct speaker
client(struct eval *e)
{
	return (struct speaker){eval_client_text(e->mem, e->request), "Client host"};
}

enum verdict
restrict_mynetworks(struct eval *e, const struct item *item)
{
	struct speaker who = client(e);
	struct err err;

	switch (match_find_host(e->rules->mynetworks, e->request->client_name,
				e->request->client_address, NULL, &err)) {
	case MATCH_YES:
		return eval_permit(e, item->row->name, &who, STR_EMPTY);
	case MATCH_NO:
		return GO_ON;
	case MATCH_FAILED:
		break;
	}
	eval_warn(e, "mynetworks: %s", err.text);
	return eval_lookup_failed(e, e->speaker.name);
}

enum verdict
restrict_inet_interfaces(struct eval *e, const struct item *item)
{
	const struct rewrite_rules *rewrite = e->rules->rewrite;
	struct speaker who = client(e);

	if (!own_addresses_has(rewrite->own_addresses, rewrite->n_own_addresses,
			       e->request->client_address))
		return GO_ON;
	return eval_permit(e, item->row->name, &who, STR_EMPTY);
}

enum verdict
restrict_authenticated(struct eval *e, const struct item *item)
{
	struct speaker who = client(e);

	if (!e->request->is_authenticated)
		return GO_ON;
	return eval_permit(e, item->row->name, &who, STR_EMPTY);
}

enum verdict
restrict_any_certificate(struct eval *e, const struct item *item)
{
	struct speaker who = client(e);

	if (!e->request->has_ccert || !e->request->ccert_is_trusted)
		return GO_ON;
	return eval_permit(e, item->row->name, &who, STR_EMPTY);
}

enum verdict
restrict_relay_certificate(struct eval *e, const struct item *item)
{
	const struct str prints[] = {e->request->ccert_fingerprint,
				     e->request->ccert_key_fingerprint};
	struct speaker who = client(e);

	for (size_t i = 0; e->request->has_ccert && i < ARRAY_LEN(prints); i++) {
		struct maps_hit hit;
		struct err err;

		switch (maps_find(e->rules->relay_certificates, e->mem, prints[i],
				  MAPS_ALL, &hit, &err)) {
		case LOOKUP_FOUND:
			return eval_permit(e, item->row->name, &who, STR_EMPTY);
		case LOOKUP_ABSENT:
			break;
		case LOOKUP_FAILED:
			eval_warn(e, "relay_clientcerts: %s", err.text);
			return eval_lookup_failed(e, e->speaker.name);
		}
	}
	return GO_ON;
}

/* ---- names ---- */

static enum verdict
refuse_unknown(struct eval *e, enum access_name status, const char *dsn, const char *what)
{
	if (status == ACCESS_NAME_OK)
		return GO_ON;
	return eval_reject(
		e, ACCESS_POLICY,
		status == ACCESS_NAME_TEMP ? 450 : e->rules->c.unknown_client_reject_code,
		dsn, "Client host rejected: cannot find your %s, [" PRI_STR "]", what,
		STR_ARG(e->request->client_address));
}

enum verdict
restrict_unknown_client(struct eval *e, const struct item *item)
{
	(void)item;
	return refuse_unknown(e, e->request->client_name_status, "4.7.25", "hostname");
}

enum verdict
restrict_unknown_reverse(struct eval *e, const struct item *item)
{
	(void)item;
	return refuse_unknown(e, e->request->client_reverse_name_status, "4.7.1",
			      "reverse hostname");
}

/* ---- logins ---- */

static bool
owns(struct str owners, struct str login)
{
	return list_has(owners, login);
}

/* Who owns the sender. LOOKUP_FAILED has been warned of. */
static enum lookup
find_owners(struct eval *e, struct str *owners_out)
{
	const struct route *route = eval_resolve(e, true);
	struct keys_hit hit;
	struct err err;
	enum lookup result;

	if (route == NULL)
		return LOOKUP_FAILED;
	result = keys_find_address(e->mem, e->rules->rewrite, e->rules->sender_logins,
				   route->recipient, KEYS_USER | KEYS_DOMAIN, &hit, &err);
	if (result == LOOKUP_FAILED)
		eval_warn(e, "%s", err.text);
	if (result != LOOKUP_FOUND)
		return result;
	*owners_out = hit.hit.value;
	if (e->step != NULL) {
		e->step->table = hit.hit.table;
		e->step->key = hit.key;
		e->step->value = hit.hit.value;
	}
	return LOOKUP_FOUND;
}

static enum verdict
check_owner(struct eval *e, struct str owners, bool is_known, bool authenticated,
	    bool others)
{
	const struct access_request *r = e->request;

	if (r->is_authenticated)
		return !authenticated || (is_known && owns(owners, r->sasl_username))
			       ? GO_ON
			       : eval_reject(e, ACCESS_POLICY, 553, "5.7.1",
					     "<" PRI_STR
					     ">: Sender address rejected: not owned by "
					     "user " PRI_STR,
					     STR_ARG(r->sender),
					     STR_ARG(r->sasl_username));
	if (!others || !is_known)
		return GO_ON;
	return eval_reject(e, ACCESS_POLICY, 553, "5.7.1",
			   "<" PRI_STR ">: Sender address rejected: not logged in",
			   STR_ARG(r->sender));
}

/* Four names for: may a login use addresses of others; of nobody; may the others use
 * addresses that somebody owns. */
enum verdict
restrict_login_mismatch(struct eval *e, const struct item *item)
{
	struct str name = item->row->name;
	bool authenticated =
		!str_eq(name, STR("reject_unauthenticated_sender_login_mismatch"));
	bool known = str_eq(name, STR("reject_known_sender_login_mismatch"));
	bool others = !str_eq(name, STR("reject_authenticated_sender_login_mismatch"));
	struct str owners = STR_EMPTY;
	enum lookup result;

	if (!e->rules->has_sasl) {
		eval_warn(e, "restriction `" PRI_STR "' ignored: no SASL support",
			  STR_ARG(name));
		return GO_ON;
	}
	if (!e->request->has_sender || e->request->sender.len == 0 ||
	    maps_count(e->rules->sender_logins) == 0)
		return GO_ON;
	result = find_owners(e, &owners);
	if (result == LOOKUP_FAILED)
		return eval_lookup_failed(e, e->request->sender);
	return check_owner(e, owners, result == LOOKUP_FOUND,
			   authenticated && (!known || result == LOOKUP_FOUND), others);
}
