/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_*_{a,mx,ns}_access: the hosts behind a name, and their addresses, as keys of an
 * access table. For safety such a table may not permit.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

struct servers_check {
	struct eval *e;
	struct table *table;
	enum dns_type type;
	struct str value;  /* the whole: a name or an address */
	struct str domain; /* of it */
	struct speaker who;
};

const char *
eval_resolver_text(enum dns_result result)
{
	switch (result) {
	case DNS_TRY_AGAIN:
		return "Temporary failure in name resolution";
	case DNS_NODATA:
		return "No address associated with hostname";
	case DNS_FAIL:
	case DNS_MALFORMED:
		return "Non-recoverable failure in name resolution";
	case DNS_FOUND:
	case DNS_NXDOMAIN:
		break;
	}
	return "Name or service not known";
}

/* The addresses of one host, of the DNS alone: names are the client's choice, and the
 * hosts file is asked by one thread, which a slow name server would keep from others. */
static bool
check_addresses(struct servers_check *c, struct str host, enum verdict *verdict_out)
{
	static const enum dns_type types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
	enum dns_result worst = DNS_NXDOMAIN;
	bool found = false;

	if (hostaddr_is_valid(host))
		return eval_table_address(c->e, c->table, host, &c->who, verdict_out);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer answer;

		eval_ask(c->e, host, types[i], false, &answer);
		if (answer.result == DNS_TRY_AGAIN || worst == DNS_NXDOMAIN)
			worst = answer.result;
		for (size_t k = 0; answer.result == DNS_FOUND && k < answer.n_records;
		     k++) {
			if (answer.records[k].type != types[i])
				continue;
			found = true;
			if (eval_table_address(c->e, c->table, answer.records[k].text,
					       &c->who, verdict_out))
				return true;
		}
	}
	if (!found && c->type != DNS_TYPE_A)
		eval_warn(c->e,
			  "Unable to look up %s host " PRI_STR " for %s " PRI_STR ": %s",
			  dns_type_name(c->type), STR_ARG(host), c->who.class,
			  STR_ARG(c->who.name), eval_resolver_text(worst));
	return false;
}

static bool
check_host(struct servers_check *c, struct str host, enum verdict *verdict_out)
{
	return (c->type != DNS_TYPE_A &&
		eval_table_domain(c->e, c->table, host, false, &c->who, verdict_out)) ||
	       check_addresses(c, host, verdict_out);
}

/* The name servers of a name are those of the nearest domain above it that has some. */
static struct str
find_servers(struct servers_check *c, struct dns_answer *answer)
{
	struct str domain = c->domain;

	for (;;) {
		size_t dot;

		eval_ask(c->e, domain, c->type, false, answer);
		if (c->type != DNS_TYPE_NS ||
		    (answer->result != DNS_NXDOMAIN && answer->result != DNS_NODATA))
			return domain;
		dot = str_index(domain, '.');
		if (dot + 1 >= domain.len)
			return c->value;
		domain = str_skip(domain, dot + 1);
	}
}

static enum verdict
check_servers(struct servers_check *c)
{
	enum verdict verdict = GO_ON;
	struct dns_answer answer;
	struct str asked;

	if (c->type == DNS_TYPE_A) {
		IGNORE(check_host(c, c->domain, &verdict));
		return verdict;
	}
	asked = find_servers(c, &answer);
	if (c->type == DNS_TYPE_MX &&
	    (answer.result == DNS_NXDOMAIN || answer.result == DNS_NODATA)) {
		IGNORE(check_host(c, c->domain, &verdict));
		return verdict;
	}
	if (answer.result != DNS_FOUND) {
		eval_warn(c->e, "Unable to look up %s host for " PRI_STR ": %s",
			  dns_type_name(c->type), STR_ARG(asked),
			  dns_result_text(answer.result));
		return GO_ON;
	}
	for (size_t i = 0; i < answer.n_records; i++) {
		struct str host = answer.records[i].text;

		if (answer.records[i].type == c->type && host.len > 0 &&
		    check_host(c, host, &verdict))
			return verdict;
	}
	return GO_ON;
}

/* "user@[192.0.2.1]", "192.0.2.1" */
static bool
is_literal(struct str domain, struct str *address_out)
{
	*address_out = domain;
	return literal_parse(domain, address_out) || hostaddr_is_valid(domain);
}

static enum verdict
check(struct servers_check *c)
{
	struct str address;
	enum verdict verdict = GO_ON;

	if (is_literal(c->domain, &address)) {
		if (c->type != DNS_TYPE_NS)
			IGNORE(eval_table_address(c->e, c->table, address, &c->who,
						  &verdict));
		return verdict;
	}
	if (c->domain.len > 0 && c->domain.p[0] == '[')
		return GO_ON;
	return check_servers(c);
}

static bool
has_domain(struct servers_check *c, enum subject subject)
{
	struct str local;

	if (subject != SUBJECT_SENDER && subject != SUBJECT_RECIPIENT) {
		c->domain = c->value;
		return c->value.len > 0 && !str_ieq(c->value, STR("unknown"));
	}
	if (!address_split(c->value, &local, &c->domain))
		c->domain = c->value;
	return c->value.len > 0 && c->domain.len > 0;
}

enum verdict
restrict_server_access(struct eval *e, const struct item *item)
{
	struct servers_check c = {.e = e,
				  .table = item->table,
				  .type = (enum dns_type)item->row->dns_type,
				  .domain = STR_EMPTY};
	enum verdict verdict;

	if (!eval_subject(e, item->row->subject, &c.value, &c.who) ||
	    !has_domain(&c, item->row->subject))
		return GO_ON;
	verdict = check(&c);
	if (verdict != PERMIT || e->a->effects.discard)
		return verdict;
	eval_warn(e, "restriction " PRI_STR " returns OK for " PRI_STR,
		  STR_ARG(item->row->name), STR_ARG(c.value));
	eval_warn(e, "this is not allowed for security reasons");
	eval_warn(e, "use DUNNO instead of OK if you want to make an exception");
	return eval_server_error(e);
}
