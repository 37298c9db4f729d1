/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of work: collect addresses with the preference of their MX record (all of
 * them, before anything is sorted), cut the list at ourselves, shuffle addresses, sort by
 * preference, mix the address families. That the shuffle is over addresses and not over
 * host names is Postfix's way: a host with many addresses gets more of the traffic.
 */
#include "dns/lookup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"

enum { SMTP_PORT = 25, HOSTS_MAX = DNS_RECORDS_MAX };

/* What is being put together. */
struct gathering {
	struct arena *mem;
	const struct dns_asker *dns;
	const struct lookup_rules *rules;
	unsigned port;
	struct lookup_host *hosts;
	size_t n_hosts;
	bool soft_error; /* some look-up may give more at another time */
	struct dsn last_error;
};

static struct dsn
not_found(struct arena *mem, enum dns_result result, struct str name, enum dns_type type)
{
	static const char *const codes[] = {
		[DNS_FOUND] = "4.3.0",  [DNS_NXDOMAIN] = "5.4.4",
		[DNS_NODATA] = "5.4.4", [DNS_TRY_AGAIN] = "4.4.3",
		[DNS_FAIL] = "5.4.3",   [DNS_MALFORMED] = "5.4.4",
	};
	const char *start =
		result == DNS_MALFORMED ? "" : "Host or domain name not found. ";

	return dsn_printf(mem, codes[result],
			  "%sName service error for name=" PRI_STR " type=%s: %s", start,
			  STR_ARG(name), dns_type_name(type), dns_result_text(result));
}

/* The same from the hosts file and whoever else nsswitch.conf names. */
static struct dsn
not_found_native(struct arena *mem, enum dns_result result, struct str name,
		 struct str why)
{
	static const char *const codes[] = {
		[DNS_FOUND] = "4.3.0",  [DNS_NXDOMAIN] = "5.4.4",
		[DNS_NODATA] = "5.4.4", [DNS_TRY_AGAIN] = "4.4.4",
		[DNS_FAIL] = "5.3.0",   [DNS_MALFORMED] = "5.3.0",
	};

	return dsn_printf(mem, codes[result],
			  "unable to look up host " PRI_STR ": " PRI_STR, STR_ARG(name),
			  STR_ARG(why.len > 0 ? why : str_from(dns_result_text(result))));
}

/* The text form of an address as a socket address; false if it is none. */
static bool
to_sockaddr(struct str text, unsigned port, struct lookup_host *host)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&host->sa;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&host->sa;
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	memset(&host->sa, 0, sizeof(host->sa));
	if (inet_pton(AF_INET, copy, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		host->sa_len = sizeof(*in);
		return true;
	}
	if (inet_pton(AF_INET6, copy, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	host->sa_len = sizeof(*in6);
	return true;
}

static bool
family_allowed(const struct lookup_rules *rules, const struct lookup_host *host)
{
	return host->sa.ss_family == AF_INET ? rules->use_ipv4 : rules->use_ipv6;
}

/* answer: NULL for an address that needed no question. */
static void
add_address(struct gathering *g, struct str name, struct str address, int64_t preference,
	    const struct dns_answer *answer)
{
	struct lookup_host host = {.name = name,
				   .address = address,
				   .preference = preference,
				   .port = g->port,
				   .canonical = STR_EMPTY};

	if (answer != NULL) {
		host.is_secure = answer->authenticated;
		host.canonical = answer->canonical;
	}

	if (g->n_hosts < HOSTS_MAX && to_sockaddr(address, g->port, &host) &&
	    family_allowed(g->rules, &host))
		g->hosts[g->n_hosts++] = host;
}

/* Remember a failed look-up: temporary ones outweigh. */
static void
remember_error(struct gathering *g, enum dns_result result, struct dsn dsn)
{
	bool soft = result == DNS_TRY_AGAIN;

	if (g->soft_error && !soft)
		return;
	g->soft_error = g->soft_error || soft;
	g->last_error = dsn;
}

/* One address type from one source. Returns the result of the question. */
static enum dns_result
ask_addresses(struct gathering *g, struct str name, enum dns_type type, bool native,
	      int64_t preference)
{
	struct dns_answer answer = {.why = STR_EMPTY};
	size_t before = g->n_hosts;

	g->dns->ask(g->dns->arg, g->mem, name, type, native, &answer);
	if (g->rules->cname_overrides && answer.canonical.len > 0)
		name = answer.canonical;
	for (size_t i = 0; answer.result == DNS_FOUND && i < answer.n_records; i++) {
		if (answer.records[i].type == type)
			add_address(g, name, answer.records[i].text, preference, &answer);
	}
	if (g->n_hosts > before)
		return DNS_FOUND;
	if (answer.result == DNS_FOUND) /* but nothing of use */
		answer.result = DNS_NODATA;
	remember_error(g, answer.result,
		       native ? not_found_native(g->mem, answer.result, name, answer.why)
			      : not_found(g->mem, answer.result, name, type));
	return answer.result;
}

static bool
ask_both(struct gathering *g, struct str name, bool native, int64_t preference)
{
	const struct lookup_rules *rules = g->rules;
	size_t before = g->n_hosts;
	enum dns_result result = DNS_NODATA;

	if (rules->use_ipv4)
		result = ask_addresses(g, name, DNS_TYPE_A, native, preference);
	/* A name that DNS does not have has no other type either; as Postfix, we speak of
	 * the last one that we would ask for. */
	if (rules->use_ipv6 && !native && result == DNS_NXDOMAIN)
		remember_error(g, result, not_found(g->mem, result, name, DNS_TYPE_AAAA));
	else if (rules->use_ipv6)
		IGNORE(ask_addresses(g, name, DNS_TYPE_AAAA, native, preference));
	return g->n_hosts > before;
}

/* All addresses of one host. A literal is its own answer. */
static bool
gather_host(struct gathering *g, struct str name, int64_t preference)
{
	const struct lookup_rules *rules = g->rules;
	bool use_dns = rules->dns && !rules->dns_disabled;
	bool use_native = rules->native || rules->dns_disabled;

	if (hostaddr_is_valid(name)) {
		size_t before = g->n_hosts;

		add_address(g, name, name, preference, NULL);
		if (g->n_hosts == before)
			g->last_error = dsn_printf(g->mem, "5.4.4",
						   "Name service error for " PRI_STR
						   ": invalid host or domain name",
						   STR_ARG(name));
		return g->n_hosts > before;
	}
	if (use_dns && ask_both(g, name, false, preference))
		return true;
	return use_native && (!use_dns || !g->soft_error) &&
	       ask_both(g, name, true, preference);
}

static bool
is_own(const struct lookup_rules *rules, struct str address)
{
	for (size_t i = 0; i < rules->n_own; i++) {
		if (str_ieq(rules->own[i], address))
			return true;
	}
	return false;
}

/* ---- order ---- */

static uint64_t
next_random(uint64_t *seed)
{
	/* splitmix64's mixer: good enough to spread load, and repeatable. */
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
shuffle(struct lookup_host *hosts, size_t n, uint64_t seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t other = next_random(&seed) % i;
		struct lookup_host h = hosts[i - 1];

		hosts[i - 1] = hosts[other];
		hosts[other] = h;
	}
}

static bool
goes_before(const struct lookup_rules *rules, const struct lookup_host *a,
	    const struct lookup_host *b)
{
	int family = rules->preference == LOOKUP_IPV6   ? AF_INET6
		     : rules->preference == LOOKUP_IPV4 ? AF_INET
							: AF_UNSPEC;

	if (a->preference != b->preference)
		return a->preference < b->preference;
	return family != AF_UNSPEC && a->sa.ss_family == family &&
	       b->sa.ss_family != family;
}

/* Stable, so that the shuffled order of equals stays; lists are short. */
static void
sort_hosts(const struct lookup_rules *rules, struct lookup_host *hosts, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct lookup_host h = hosts[i];
		size_t at = i;

		while (at > 0 && goes_before(rules, &h, &hosts[at - 1])) {
			hosts[at] = hosts[at - 1];
			at--;
		}
		hosts[at] = h;
	}
}

static size_t
count_family(const struct lookup_host *hosts, size_t n, int family)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += hosts[i].sa.ss_family == family;
	return count;
}

/* With more addresses than will be tried, let neither family take all the places: drop
 * surplus ones of the larger family, the least preferred first. */
static void
balance(const struct lookup_rules *rules, struct lookup_answer *a)
{
	size_t limit = (size_t)rules->address_limit;
	size_t n4 = count_family(a->hosts, a->n_hosts, AF_INET);
	size_t n6 = a->n_hosts - n4;
	size_t quota4;
	size_t keep = 0;

	if (!rules->balance || limit < 2 || a->n_hosts <= limit || n4 == 0 || n6 == 0)
		return;
	quota4 = limit / 2;
	if (n6 < limit - quota4)
		quota4 = limit - n6;
	quota4 = MIN_OF(quota4, n4);
	for (size_t i = 0, taken4 = 0, taken6 = 0; i < a->n_hosts; i++) {
		bool is4 = a->hosts[i].sa.ss_family == AF_INET;

		if (is4 ? taken4++ < quota4 : taken6++ < limit - quota4)
			a->hosts[keep++] = a->hosts[i];
	}
	a->n_hosts = keep;
}

static void
put_in_order(struct gathering *g, uint64_t seed, struct lookup_answer *out)
{
	if (g->rules->randomize)
		shuffle(g->hosts, g->n_hosts, seed);
	sort_hosts(g->rules, g->hosts, g->n_hosts);
	out->result = LOOKUP_HAVE_HOSTS;
	out->hosts = g->hosts;
	out->n_hosts = g->n_hosts;
	balance(g->rules, out);
}

/* ---- MX ---- */

static void
fail(struct lookup_answer *out, struct dsn dsn)
{
	out->result = LOOKUP_NO_HOSTS;
	out->dsn = dsn;
}

static void
fail_loop(struct gathering *g, struct str domain, struct lookup_answer *out)
{
	out->is_loop = true;
	fail(out, dsn_printf(g->mem, "5.4.6", "mail for " PRI_STR " loops back to myself",
			     STR_ARG(domain)));
}

/* If one of the addresses is ours: everything that is not better than us must not be
 * tried, or the mail would go in circles. Returns false when nothing is left. */
static bool
cut_at_ourselves(struct gathering *g, struct str domain, int64_t best,
		 struct lookup_answer *out)
{
	int64_t own = INT64_MAX;
	size_t keep = 0;

	if (!g->rules->check_loops || g->port != SMTP_PORT)
		return true;
	for (size_t i = 0; i < g->n_hosts; i++) {
		if (is_own(g->rules, g->hosts[i].address))
			own = MIN_OF(own, g->hosts[i].preference);
	}
	if (own == INT64_MAX)
		return true;
	out->we_are_mx = true;
	for (size_t i = 0; i < g->n_hosts; i++) {
		if (g->hosts[i].preference < own)
			g->hosts[keep++] = g->hosts[i];
	}
	g->n_hosts = keep;
	if (keep > 0)
		return true;
	if (own == best)
		fail_loop(g, domain, out);
	else
		fail(out, dsn_printf(g->mem, "4.4.4",
				     "unable to find primary relay for " PRI_STR,
				     STR_ARG(domain)));
	return false;
}

static void
fail_no_mx_address(struct gathering *g, struct lookup_answer *out)
{
	struct dsn dsn = g->last_error;

	out->no_mx_address = true;
	if (g->rules->defer_if_no_mx_address && dsn.status.text[0] == '5')
		dsn = dsn_make(g->mem, "4.4.4", dsn.reason);
	fail(out, dsn);
}

static void
lookup_plain(struct gathering *g, struct str domain, uint64_t seed,
	     struct lookup_answer *out)
{
	if (!gather_host(g, domain, 0)) {
		fail(out, g->last_error);
		return;
	}
	if (cut_at_ourselves(g, domain, 0, out))
		put_in_order(g, seed, out);
}

static bool
is_null_mx(const struct dns_answer *mx)
{
	return mx->n_records == 1 && mx->records[0].text.len == 0;
}

static void
use_mx_records(struct gathering *g, struct str domain, const struct dns_answer *mx,
	       uint64_t seed, struct lookup_answer *out)
{
	int64_t best = INT64_MAX;

	out->by_mx = true;
	if (is_null_mx(mx)) {
		fail(out, dsn_printf(g->mem, "5.1.0",
				     "Domain " PRI_STR " does not accept mail (nullMX)",
				     STR_ARG(domain)));
		return;
	}
	for (size_t i = 0; i < mx->n_records && i < DNS_RECORDS_MAX; i++) {
		const struct dns_record *r = &mx->records[i];

		if (r->type != DNS_TYPE_MX || r->text.len == 0)
			continue;
		best = MIN_OF(best, r->preference);
		IGNORE(gather_host(g, r->text, r->preference));
	}
	if (best == INT64_MAX) {
		fail(out, not_found(g->mem, DNS_MALFORMED, domain, DNS_TYPE_MX));
		return;
	}
	if (g->n_hosts == 0)
		fail_no_mx_address(g, out);
	else if (cut_at_ourselves(g, domain, best, out))
		put_in_order(g, seed, out);
}

static void
lookup_mx(struct gathering *g, struct str domain, uint64_t seed,
	  struct lookup_answer *out)
{
	struct dns_answer mx;

	g->dns->ask(g->dns->arg, g->mem, domain, DNS_TYPE_MX, false, &mx);
	out->is_secure = mx.authenticated;
	switch (mx.result) {
	case DNS_FOUND:
		use_mx_records(g, domain, &mx, seed, out);
		return;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		lookup_plain(g, domain, seed, out);
		return;
	case DNS_TRY_AGAIN:
	case DNS_FAIL:
	case DNS_MALFORMED:
		if (g->rules->ignore_mx_error)
			lookup_plain(g, domain, seed, out);
		else
			fail(out, not_found(g->mem, mx.result, domain, DNS_TYPE_MX));
		return;
	}
}

void
lookup_hosts(struct arena *mem, const struct dns_asker *dns,
	     const struct lookup_rules *rules, struct str domain, bool mx, unsigned port,
	     uint64_t seed, struct lookup_answer *out)
{
	struct gathering g = {.mem = mem, .dns = dns, .rules = rules, .port = port};

	*out = (struct lookup_answer){0};
	g.hosts = arena_alloc_array(mem, HOSTS_MAX, sizeof(*g.hosts));
	if (!rules->use_ipv4 && !rules->use_ipv6) {
		fail(out,
		     dsn_make(mem, "4.4.4", STR("all network protocols are disabled")));
	} else if (mx && !rules->dns_disabled && !hostaddr_is_valid(domain)) {
		lookup_mx(&g, domain, seed, out);
	} else {
		/* The host is who the next hop says, not who the DNS says. */
		out->is_secure = true;
		lookup_plain(&g, domain, seed, out);
	}
}
