/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restrictions on the form and the existence of names: HELO, and the domains of sender
 * and recipient.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

static struct str
without_final_dot(struct str name)
{
	if (name.len > 1 && name.p[name.len - 1] == '.')
		name.len--;
	return name;
}

static bool
is_hostname(struct eval *e, struct str name)
{
	struct err ignored;

	return hostname_check(name, e->rules->rewrite->utf8, &ignored);
}

static bool
is_fully_qualified(struct eval *e, struct str name)
{
	name = without_final_dot(name);
	return is_hostname(e, name) && str_contains(name, '.');
}

/* "[192.0.2.1]": not a name, fine as an address. */
static enum verdict
check_literal(struct eval *e, struct str helo, const struct speaker *who)
{
	struct str address;

	if (literal_parse(helo, &address) &&
	    (!str_contains(address, ':') || str_istarts(helo, STR("[IPv6:"))))
		return GO_ON;
	return eval_refuse(e, who, e->rules->c.invalid_hostname_reject_code, "5.5.2",
			   "invalid ip address");
}

static bool
get_helo(struct eval *e, struct str *helo_out, struct speaker *who)
{
	return eval_subject(e, SUBJECT_HELO, helo_out, who) && helo_out->len > 0;
}

enum verdict
restrict_invalid_helo(struct eval *e, const struct item *item)
{
	struct str helo;
	struct speaker who;

	(void)item;
	if (!get_helo(e, &helo, &who))
		return GO_ON;
	if (helo.p[0] == '[')
		return check_literal(e, helo, &who);
	helo = without_final_dot(helo);
	if (is_hostname(e, helo) || hostaddr_is_valid(helo))
		return GO_ON;
	return eval_refuse(e, &who, e->rules->c.invalid_hostname_reject_code, "5.5.2",
			   "Invalid name");
}

enum verdict
restrict_non_fqdn_helo(struct eval *e, const struct item *item)
{
	struct str helo;
	struct speaker who;

	(void)item;
	if (!get_helo(e, &helo, &who))
		return GO_ON;
	if (helo.p[0] == '[')
		return check_literal(e, helo, &who);
	if (is_fully_qualified(e, helo))
		return GO_ON;
	return eval_refuse(e, &who, e->rules->c.non_fqdn_reject_code, "5.5.2",
			   "need fully-qualified hostname");
}

enum verdict
restrict_naked_address(struct eval *e, const struct item *item)
{
	struct str helo;
	struct speaker who;

	eval_warn(e,
		  "restriction " PRI_STR " is deprecated. Use permit_mynetworks or "
		  "permit_sasl_authenticated instead",
		  STR_ARG(item->row->name));
	if (!get_helo(e, &helo, &who) || !hostaddr_is_valid(helo))
		return GO_ON;
	return eval_permit(e, item->row->name, &who, STR_EMPTY);
}

/* ---- existence ---- */

enum mailhost {
	MAILHOST_EXISTS,
	MAILHOST_MISSING,
	MAILHOST_MALFORMED,
	MAILHOST_REFUSES, /* null MX (RFC 7505) */
	MAILHOST_UNKNOWN, /* the DNS does not say now */
};

/* A name that mail could be sent to: with MX, A or AAAA records. */
static enum mailhost
find_mailhost(struct eval *e, struct str name)
{
	static const enum dns_type types[] = {DNS_TYPE_MX, DNS_TYPE_A, DNS_TYPE_AAAA};
	enum mailhost result = MAILHOST_MISSING;

	name = without_final_dot(name);
	if (!is_hostname(e, name))
		return MAILHOST_MISSING;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer answer;

		eval_ask(e, name, types[i], false, &answer);
		switch (answer.result) {
		case DNS_FOUND:
			if (types[i] == DNS_TYPE_MX && answer.n_records == 1 &&
			    answer.records[0].text.len == 0)
				return MAILHOST_REFUSES;
			return MAILHOST_EXISTS;
		case DNS_MALFORMED:
			return MAILHOST_MALFORMED;
		case DNS_TRY_AGAIN:
			result = MAILHOST_UNKNOWN;
			break;
		case DNS_NXDOMAIN:
		case DNS_NODATA:
		case DNS_FAIL:
			break;
		}
	}
	return result;
}

enum verdict
restrict_unknown_helo(struct eval *e, const struct item *item)
{
	struct str helo;
	struct speaker who;

	(void)item;
	if (!get_helo(e, &helo, &who))
		return GO_ON;
	if (helo.p[0] == '[')
		return check_literal(e, helo, &who);
	switch (find_mailhost(e, helo)) {
	case MAILHOST_EXISTS:
	case MAILHOST_REFUSES:
		return GO_ON;
	case MAILHOST_UNKNOWN:
		return eval_tempfail(e, e->rules->defer_unknown_helo, &who, "4.7.1",
				     "Host not found");
	case MAILHOST_MISSING:
	case MAILHOST_MALFORMED:
		break;
	}
	return eval_refuse(e, &who, e->rules->c.unknown_hostname_reject_code, "4.7.1",
			   "Host not found");
}

static enum verdict
check_domain(struct eval *e, struct str domain, const struct speaker *who, bool is_sender)
{
	const char *dsn = is_sender ? "4.1.8" : "4.1.2";
	int code = e->rules->c.unknown_address_reject_code;

	switch (find_mailhost(e, domain)) {
	case MAILHOST_EXISTS:
		return GO_ON;
	case MAILHOST_MISSING:
		return eval_refuse(e, who, code, dsn, "Domain not found");
	case MAILHOST_MALFORMED:
		return eval_refuse(e, who, code, dsn, "Malformed DNS server reply");
	case MAILHOST_REFUSES:
		return eval_refuse(
			e, who, is_sender ? 550 : 556, is_sender ? "5.7.27" : "5.1.10",
			str_printf(e->mem,
				   "Domain " PRI_STR " does not accept mail (nullMX)",
				   STR_ARG(domain))
				.p);
	case MAILHOST_UNKNOWN:
		break;
	}
	return eval_tempfail(e, e->rules->defer_unknown_address, who, dsn,
			     "Domain not found");
}

/* Our own domains are not looked for: mail for them does not follow the DNS. */
enum verdict
restrict_unknown_domain(struct eval *e, const struct item *item)
{
	bool is_sender = item->row->subject == SUBJECT_SENDER;
	struct str address;
	struct str local;
	struct str domain;
	struct speaker who;
	const struct route *route;

	if (!eval_subject(e, item->row->subject, &address, &who) || address.len == 0)
		return GO_ON;
	route = eval_resolve(e, is_sender);
	if (route == NULL)
		return eval_lookup_failed(e, address);
	if (route->class == CLASS_LOCAL || route->class == CLASS_VIRTUAL_ALIAS ||
	    route->class == CLASS_VIRTUAL_MAILBOX ||
	    !address_split(route->recipient, &local, &domain) || domain.len == 0 ||
	    domain.p[0] == '[')
		return GO_ON;
	return check_domain(e, domain, &who, is_sender);
}

/* Of the address as the client gave it. */
enum verdict
restrict_non_fqdn_address(struct eval *e, const struct item *item)
{
	struct str address;
	struct str local;
	struct str domain;
	struct speaker who;

	if (!eval_subject(e, item->row->subject, &address, &who) || address.len == 0)
		return GO_ON;
	if (address_split(address, &local, &domain) &&
	    ((domain.len > 0 && domain.p[0] == '[') || is_fully_qualified(e, domain)))
		return GO_ON;
	return eval_refuse(e, &who, e->rules->c.non_fqdn_reject_code, "5.5.2",
			   "need fully-qualified address");
}
