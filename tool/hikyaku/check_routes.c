/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where mail leaves: relayhost, smtp_fallback_relay and the next hop of
 * default_transport. What a name means is asked of the functions that the SMTP client
 * uses.
 */
#include "base/arena.h"
#include "base/err.h"

#include "dns/lookup.h"
#include "dns/server_name.h"
#include "mail/address.h"
#include "rewrite/own.h"
#include "smtp/lookups.h"
#include "smtp/nexthop.h"

#include "check_rows.h"
#include "finding.h"

enum { SMTP_PORT = 25 };

/* One destination of one of the parameters. */
struct hop {
	const char *parameter;
	struct nexthop to;
};

enum { HOPS_MAX = 2 * NEXTHOP_LIST_MAX + 1 };

static size_t
add_hops(struct check *c, const char *parameter, struct str list, struct hop *hops,
	 size_t n, void (*bad)(struct check *c, const char *parameter, const char *why))
{
	struct str *items;
	size_t count;
	struct err err;

	if (!nexthop_list(c->mem, list, &items, &count, &err)) {
		if (bad != NULL)
			bad(c, parameter, err.text);
		return n;
	}
	for (size_t i = 0; i < count && n < HOPS_MAX; i++) {
		struct nexthop to;

		if (nexthop_parse(c->mem, items[i], false, c->smtp.smtp_tcp_port, &to,
				  &err))
			hops[n++] = (struct hop){parameter, to};
		else if (bad != NULL)
			bad(c, parameter, err.text);
	}
	return n;
}

/* All that can be parsed; the others are told to bad (may be NULL). */
static struct hop *
all_hops(struct check *c, size_t *n_out,
	 void (*bad)(struct check *c, const char *parameter, const char *why))
{
	struct hop *hops = arena_alloc_array(c->mem, HOPS_MAX, sizeof(*hops));
	struct str transport, nexthop;
	size_t n;

	n = add_hops(c, "relayhost", c->rules.config.relayhost, hops, 0, bad);
	n = add_hops(c, "smtp_fallback_relay", c->smtp.smtp_fallback_relay, hops, n, bad);
	if (str_split(c->rules.config.default_transport, ':', &transport, &nexthop) &&
	    (str_eq(transport, STR("smtp")) || str_eq(transport, STR("relay"))))
		n = add_hops(c, "default_transport", nexthop, hops, n, bad);
	*n_out = n;
	return hops;
}

/* fallback_relay's line, if that is where the value comes from. */
static struct place
place_hop(const struct check *c, const char *parameter)
{
	if (str_eq(str_from(parameter), STR("smtp_fallback_relay")) &&
	    !config_is_set(c->config, str_from(parameter)) &&
	    config_is_set(c->config, STR("fallback_relay")))
		return place_parameter(c, "fallback_relay");
	return place_parameter(c, parameter);
}

/* ---- as written ---- */

static void
tell_form(struct check *c, const char *parameter, const char *why)
{
	finding_add(c, place_hop(c, parameter),
		    str_printf(c->mem, "Not understood: %s.", why),
		    STR("Write domain, [host], or either of them with :port."));
}

void
check_relay_form(struct check *c)
{
	size_t n;

	all_hops(c, &n, tell_form);
}

/* "[host]:port" for what was written without brackets. */
static struct str
in_brackets(const struct check *c, const struct nexthop *to)
{
	if (to->service.len > 0)
		return str_printf(c->mem, "[" PRI_STR "]:" PRI_STR, STR_ARG(to->host),
				  STR_ARG(to->service));
	return str_printf(c->mem, "[" PRI_STR "]", STR_ARG(to->host));
}

static bool
is_one_word(const struct hop *h)
{
	return h->to.mx && !str_contains(h->to.host, '.') &&
	       !hostaddr_is_valid(h->to.host);
}

void
check_relay_brackets(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);

	for (size_t i = 0; i < n; i++) {
		const struct hop *h = &hops[i];
		bool is_transport = str_ieq(h->to.host, STR("smtp")) ||
				    str_ieq(h->to.host, STR("relay")) ||
				    str_ieq(h->to.host, STR("lmtp"));

		if (!is_one_word(h))
			continue;
		finding_add(c, place_hop(c, h->parameter),
			    str_printf(c->mem,
				       "\"" PRI_STR
				       "\" is taken as the name of a mail domain, whose "
				       "MX records are looked up%s",
				       STR_ARG(h->to.host),
				       is_transport ? ", not as a transport." : "."),
			    is_transport
				    ? STR("Name the host to relay to; a transport "
					  "belongs into default_transport.")
				    : str_printf(c->mem, "For a host write " PRI_STR ".",
						 STR_ARG(in_brackets(c, &h->to))));
	}
}

/* Mail sent to ourselves on port 25 is refused as a loop by the client; on another port
 * it is when one of our own services listens there. */
static bool
is_our_port(const struct check *c, unsigned port)
{
	struct master_services services;
	struct err err;

	if (port == SMTP_PORT)
		return true;
	if (!master_cf_load(c->mem, c->config, &services, &err))
		return false;
	for (size_t i = 0; i < services.count; i++) {
		const struct master_service *s = &services.at[i];

		if (s->type == MASTER_INET && server_port(s->port) == port &&
		    str_eq(s->command, STR("smtpd")))
			return true;
	}
	return false;
}

static bool
is_our_name(const struct check *c, struct str host)
{
	return str_ieq(host, c->common.myhostname) || str_ieq(host, STR("localhost")) ||
	       own_addresses_has(c->rules.own_addresses, c->rules.n_own_addresses, host);
}

void
check_relay_is_us(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);

	for (size_t i = 0; i < n; i++) {
		const struct hop *h = &hops[i];

		/* A domain that has our name may have other MX hosts. */
		if ((h->to.mx && !hostaddr_is_valid(h->to.host)) ||
		    !is_our_name(c, h->to.host) || !is_our_port(c, h->to.port))
			continue;
		finding_add(c, place_hop(c, h->parameter),
			    str_printf(c->mem,
				       PRI_STR " is this machine: the mail would come "
					       "back again and again, so it is returned "
					       "as a loop.",
				       STR_ARG(h->to.text)),
			    STR("Name the machine that mail is to go to, or leave it "
				"empty to deliver directly."));
	}
}

void
check_fallback_same(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k++) {
			const struct nexthop *a = &hops[i].to, *b = &hops[k].to;

			if (!str_eq(str_from(hops[i].parameter), STR("relayhost")) ||
			    str_eq(str_from(hops[k].parameter), STR("relayhost")) ||
			    !str_eq(str_from(hops[k].parameter),
				    STR("smtp_fallback_relay")) ||
			    !str_ieq(a->host, b->host) || a->port != b->port ||
			    a->mx != b->mx)
				continue;
			finding_add(c, place_hop(c, "smtp_fallback_relay"),
				    str_printf(c->mem,
					       PRI_STR
					       " is the relay host too: when that "
					       "fails, the same host is tried "
					       "again.",
					       STR_ARG(b->text)),
				    STR("Name another host, or leave it empty."));
		}
	}
}

/* ---- as the DNS has it ---- */

/* False: bad values, which are told as such. */
static bool
lookup_rules(const struct check *c, struct lookup_rules *out)
{
	struct err err;

	*out = (struct lookup_rules){.own = c->rules.own_addresses,
				     .n_own = c->rules.n_own_addresses};
	return smtp_lookup_rules(&c->smtp, &c->common, out, &err);
}

static struct lookup_answer
look_up(struct check *c, const struct nexthop *to)
{
	struct lookup_answer answer = {.result = LOOKUP_HAVE_HOSTS};
	struct lookup_rules rules;

	if (lookup_rules(c, &rules))
		lookup_hosts(c->mem, &c->dns.dns, &rules, to->host, to->mx, to->port, 1,
			     &answer);
	return answer;
}

void
check_relay_no_mx(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);
	struct lookup_rules rules;

	if (!lookup_rules(c, &rules) || rules.dns_disabled)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct hop *h = &hops[i];
		struct dns_answer mx;

		if (!h->to.mx || is_one_word(h) || hostaddr_is_valid(h->to.host))
			continue;
		c->dns.dns.ask(&c->dns, c->mem, h->to.host, DNS_TYPE_MX, false, &mx);
		if (mx.result != DNS_NODATA)
			continue;
		finding_add(c, place_hop(c, h->parameter),
			    str_printf(c->mem,
				       PRI_STR " has no MX record. Without brackets that "
					       "is asked for first, before each "
					       "connection; then the host itself is "
					       "used.",
				       STR_ARG(h->to.host)),
			    str_printf(c->mem, "For the host itself write " PRI_STR ".",
				       STR_ARG(in_brackets(c, &h->to))));
	}
}

void
check_relay_not_found(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);

	for (size_t i = 0; i < n; i++) {
		struct lookup_answer answer = look_up(c, &hops[i].to);

		if (answer.result == LOOKUP_HAVE_HOSTS || answer.is_loop ||
		    answer.dsn.status.text[0] != '5')
			continue;
		finding_add(c, place_hop(c, hops[i].parameter),
			    str_printf(c->mem, PRI_STR ": mail cannot go there.",
				       STR_ARG(answer.dsn.reason)),
			    STR("Correct the name, or the DNS."));
	}
}

void
check_relay_leads_here(struct check *c)
{
	size_t n;
	const struct hop *hops = all_hops(c, &n, NULL);

	for (size_t i = 0; i < n; i++) {
		const struct nexthop *to = &hops[i].to;
		struct lookup_answer answer;

		/* Reported without asking anybody. */
		if (!to->mx && is_our_name(c, to->host))
			continue;
		answer = look_up(c, to);
		if (answer.result == LOOKUP_HAVE_HOSTS || !answer.is_loop)
			continue;
		finding_add(c, place_hop(c, hops[i].parameter),
			    str_printf(c->mem,
				       "The DNS says that " PRI_STR
				       " is this machine: the mail is returned as a "
				       "loop.",
				       STR_ARG(to->host)),
			    STR("Name the machine that mail is to go to."));
	}
}
