/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permit_mx_backup: mail for domains that name us as a mail host, but not as the first.
 * What the DNS does not say makes a later refusal one for now.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "rewrite/own.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

struct backup {
	struct eval *e;
	struct speaker who;
	int64_t first; /* preference of the primary hosts */
	bool looks_at_networks;
};

typedef bool (*address_fn)(struct eval *e, struct str address);

static bool
is_own(struct eval *e, struct str address)
{
	const struct rewrite_rules *r = e->rules->rewrite;

	return own_addresses_has(r->own_addresses, r->n_own_addresses, address);
}

static bool
is_outside(struct eval *e, struct str address)
{
	struct err ignored;

	return match_find_host(e->rules->mx_backup_networks, STR_EMPTY, address, NULL,
			       &ignored) != MATCH_YES;
}

static void
note_failure(struct backup *b, struct str host, enum dns_result result)
{
	const char *text = eval_resolver_text(result);
	struct str what =
		str_printf(b->e->mem,
			   b->looks_at_networks ? "mail exchanger host " PRI_STR
						: "host " PRI_STR " as mail exchanger",
			   STR_ARG(host));

	IGNORE(eval_defer_if_reject(
		       b->e, 450, "4.4.4",
		       "<" PRI_STR ">: %s rejected: Unable to look up " PRI_STR ": %s",
		       STR_ARG(b->who.name), b->who.class, STR_ARG(what), text) != GO_ON);
}

/* Does the function say yes to one of the host's addresses? */
static bool
any_address(struct backup *b, struct str host, address_fn fn, size_t *n_out)
{
	static const enum dns_type types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
	enum dns_result worst = DNS_NXDOMAIN;

	*n_out = 0;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer answer;

		eval_ask(b->e, host, types[i], false, &answer);
		if (answer.result == DNS_TRY_AGAIN || worst == DNS_NXDOMAIN)
			worst = answer.result;
		for (size_t k = 0; answer.result == DNS_FOUND && k < answer.n_records;
		     k++) {
			++*n_out;
			if (fn(b->e, answer.records[k].text))
				return true;
		}
	}
	if (*n_out == 0)
		note_failure(b, host, worst);
	return false;
}

/* Are we one of the primary hosts, or (primary false) of the others? */
static bool
are_we(struct backup *b, const struct dns_answer *mx, bool primary)
{
	for (size_t i = 0; i < mx->n_records; i++) {
		const struct dns_record *r = &mx->records[i];
		size_t n;

		if (r->type == DNS_TYPE_MX && (r->preference == b->first) == primary &&
		    any_address(b, r->text, is_own, &n))
			return true;
	}
	return false;
}

/* permit_mx_backup_networks: all addresses of the primary hosts are in them. */
static bool
primaries_allowed(struct backup *b, const struct dns_answer *mx)
{
	if (match_is_empty(b->e->rules->mx_backup_networks))
		return true;
	for (size_t i = 0; i < mx->n_records; i++) {
		const struct dns_record *r = &mx->records[i];
		size_t n = 0;

		if (r->type == DNS_TYPE_MX && r->preference == b->first &&
		    (any_address(b, r->text, is_outside, &n) || n == 0))
			return false;
	}
	return true;
}

static bool
is_null_mx(const struct dns_answer *mx)
{
	return mx->n_records == 1 && mx->records[0].text.len == 0;
}

static bool
is_backup(struct backup *b, struct str domain)
{
	struct dns_answer mx;

	eval_ask(b->e, domain, DNS_TYPE_MX, false, &mx);
	if (mx.result == DNS_NXDOMAIN || mx.result == DNS_NODATA)
		return false;
	if (mx.result != DNS_FOUND) {
		IGNORE(eval_defer_if_reject(b->e, 450, "4.4.4",
					    "<" PRI_STR
					    ">: %s rejected: Unable to look up mail "
					    "exchanger information: %s",
					    STR_ARG(b->who.name), b->who.class,
					    dns_result_text(mx.result)) != GO_ON);
		return false;
	}
	if (mx.n_records == 0 || is_null_mx(&mx))
		return false;
	b->first = mx.records[0].preference;
	for (size_t i = 0; i < mx.n_records; i++)
		b->first = MIN_OF(b->first, mx.records[i].preference);
	b->looks_at_networks = true;
	if (!primaries_allowed(b, &mx))
		return false;
	b->looks_at_networks = false;
	return !are_we(b, &mx, true) && are_we(b, &mx, false);
}

enum verdict
restrict_mx_backup(struct eval *e, const struct item *item)
{
	struct backup b = {.e = e};
	struct str address;
	struct str local;
	struct str domain;
	const struct route *route;
	bool ours;

	if (!eval_subject(e, SUBJECT_RECIPIENT, &address, &b.who))
		return GO_ON;
	route = eval_resolve(e, false);
	if (route == NULL)
		return eval_lookup_failed(e, address);
	if (route->is_routed || !address_split(route->recipient, &local, &domain))
		return GO_ON;
	ours = route->class != CLASS_DEFAULT;
	if (!ours && (domain.len == 0 || domain.p[0] == '[' || !is_backup(&b, domain)))
		return GO_ON;
	return eval_permit(e, item->row->name, &b.who, STR_EMPTY);
}
