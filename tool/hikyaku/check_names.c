/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are and whom we trust: myhostname and its kin, address classes, mynetworks.
 */
#include <fcntl.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"

#include "config/value.h"
#include "mail/address.h"
#include "table/cidr_net.h"
#include "table/match.h"

#include "check_rows.h"
#include "finding.h"

enum { PATTERNS_MAX = 10000, IF_INET6_MAX = 1 << 20 };

/* ---- our name ---- */

void
check_myhostname_form(struct check *c)
{
	struct str name = c->common.myhostname;
	struct err err;

	if (!hostname_check(name, true, &err))
		finding_add(c, place_parameter(c, "myhostname"),
			    str_printf(c->mem, "\"" PRI_STR "\" is not a host name: %s.",
				       STR_ARG(name), err.text),
			    STR("Write this machine's full name, as mail.example.com."));
	else if (!str_contains(name, '.') || str_iends(name, STR(".localdomain")) ||
		 str_iends(name, STR(".local")))
		finding_add(c, place_parameter(c, "myhostname"),
			    str_printf(c->mem,
				       "\"" PRI_STR
				       "\" is not a name that other machines know: many "
				       "servers refuse mail from it, and addresses made "
				       "with it cannot be answered.",
				       STR_ARG(name)),
			    STR("Write this machine's full name, as mail.example.com."));
}

void
check_mydomain_form(struct check *c)
{
	struct str name = c->common.myhostname;

	/* A host name of one word is reported as that. */
	if (str_contains(c->common.mydomain, '.') || !str_contains(name, '.') ||
	    str_iends(name, STR(".localdomain")))
		return;
	finding_add(c, place_parameter(c, "mydomain"),
		    str_printf(c->mem,
			       "With myhostname = " PRI_STR " the domain is \"" PRI_STR
			       "\": names completed with it do not exist.",
			       STR_ARG(name), STR_ARG(c->common.mydomain)),
		    str_printf(c->mem,
			       "Give the machine a name in the domain (myhostname = "
			       "mail." PRI_STR ") or set mydomain.",
			       STR_ARG(name)));
}

void
check_myhostname_address(struct check *c)
{
	struct str name = c->common.myhostname;
	struct dns_answer a, aaaa;

	if (!str_contains(name, '.'))
		return;
	c->dns.dns.ask(&c->dns, c->mem, name, DNS_TYPE_A, false, &a);
	if (a.result != DNS_NXDOMAIN && a.result != DNS_NODATA)
		return;
	c->dns.dns.ask(&c->dns, c->mem, name, DNS_TYPE_AAAA, false, &aaaa);
	if (aaaa.result != DNS_NXDOMAIN && aaaa.result != DNS_NODATA)
		return;
	finding_add(c, place_parameter(c, "myhostname"),
		    str_printf(c->mem,
			       "The DNS has no address for " PRI_STR
			       ": servers that look up the name given in HELO may "
			       "refuse our mail.",
			       STR_ARG(name)),
		    STR("Add the name to the DNS, or set smtp_helo_name to one that is "
			"there."));
}

/* ---- address classes ---- */

/* The pattern as it stands in the list, if it is a plain name. */
static bool
is_plain(struct str item)
{
	return item.len > 0 && item.p[0] != '!' && item.p[0] != '/' && item.p[0] != '.' &&
	       item.p[0] != '[' && !str_contains(item, ':');
}

static void
overlap(struct check *c, struct match *list, struct match *other, const char *effect)
{
	struct str rest = value_of(c, match_title(list));
	struct str item;

	for (size_t n = 0; n < PATTERNS_MAX && list_next(&rest, &item); n++) {
		struct match_hit hit;
		struct err err;

		if (!is_plain(item) || match_find(other, item, &hit, &err) != MATCH_YES)
			continue;
		finding_add(c, place_parameter(c, match_title(list)),
			    str_printf(c->mem, PRI_STR " is also in %s (%s): %s",
				       STR_ARG(item), match_title(other), hit.pattern,
				       effect),
			    STR("A domain belongs into one of them only."));
	}
}

void
check_overlap(struct check *c)
{
	struct match *local = c->rules.local_domains;
	struct match *alias = c->rules.virtual_alias_domains;
	struct match *mailbox = c->rules.virtual_mailbox_domains;
	struct match *relay = c->rules.relay_domains;

	overlap(c, local, alias, "its mail is delivered as local mail.");
	overlap(c, local, mailbox, "its mail is delivered as local mail.");
	overlap(c, alias, mailbox,
		"users without an alias are unknown, the mailboxes are not used.");
	/* relay_domains = $mydestination was the default once and does no harm. */
	overlap(c, relay, alias, "it is not relayed, only aliases count.");
	overlap(c, relay, mailbox, "it is not relayed but delivered here.");
}

/* ---- mynetworks ---- */

static bool
is_too_large(const struct cidr_net *net)
{
	return net->address.len == 4 ? net->bits < 8 : net->bits < 16;
}

/* An item that is meant as an address or a network. */
static bool
looks_like_net(struct str item)
{
	return item.len > 0 && item.p[0] != '!' && item.p[0] != '/' &&
	       (item.p[0] == '[' ||
		(char_is_digit(item.p[0]) && str_index_any(item, "/.") < item.len));
}

void
check_mynetworks_open(struct check *c)
{
	struct str rest = value_of(c, "mynetworks");
	struct str item;

	if (!config_is_set(c->config, STR("mynetworks")))
		return;
	for (size_t n = 0; n < PATTERNS_MAX && list_next(&rest, &item); n++) {
		struct cidr_net net;
		struct err err;

		if (str_ieq(item, STR("static:all")) ||
		    (looks_like_net(item) && cidr_net_parse(item, &net, &err) &&
		     is_too_large(&net)))
			finding_add(c, place_parameter(c, "mynetworks"),
				    str_printf(c->mem,
					       PRI_STR " trusts a large part of the "
						       "Internet: anyone there may send "
						       "mail through this machine.",
					       STR_ARG(item)),
				    STR("Name only networks whose users you know."));
	}
}

void
check_mynetworks_form(struct check *c)
{
	struct str rest = value_of(c, "mynetworks");
	struct str item;

	if (!config_is_set(c->config, STR("mynetworks")))
		return;
	for (size_t n = 0; n < PATTERNS_MAX && list_next(&rest, &item); n++) {
		struct cidr_net net;
		struct err err;
		uint64_t bits;

		if (item.len > 1 && item.p[0] == '/' &&
		    str_to_u64(str_skip(item, 1), 128, &bits))
			finding_add(c, place_parameter(c, "mynetworks"),
				    str_printf(c->mem,
					       "\"" PRI_STR "\" stands alone: it is read "
					       "as the name of a file.",
					       STR_ARG(item)),
				    STR("Write the address right before it, without a "
					"blank."));
		else if (looks_like_net(item) && !cidr_net_parse(item, &net, &err))
			finding_add(c, place_parameter(c, "mynetworks"),
				    str_printf(c->mem,
					       "\"" PRI_STR "\" is not understood: %s.",
					       STR_ARG(item), err.text),
				    STR_EMPTY);
	}
}

/* ---- IPv6 ---- */

/* Whether an interface other than the loopback has an address that is not link-local. */
static bool
has_ipv6(struct check *c)
{
	struct str text, line;
	struct err err;

	if (!io_read_file(c->mem, AT_FDCWD, "/proc/net/if_inet6", IF_INET6_MAX, &text,
			  &err))
		return false;
	while (str_line(&text, &line)) {
		if (line.len > 4 && !str_starts(line, STR("fe80")) &&
		    !str_ends(line, STR(" lo")))
			return true;
	}
	return false;
}

void
check_no_ipv6(struct check *c)
{
	struct str protocols = c->common.inet_protocols;

	if (!list_has(protocols, STR("ipv6")) && !list_has(protocols, STR("all")))
		return;
	if (has_ipv6(c))
		return;
	finding_add(c, place_parameter(c, "inet_protocols"),
		    STR("This machine has no IPv6 address that others can reach: "
			"connections to IPv6 addresses fail before the next one is "
			"tried."),
		    STR("Set inet_protocols = ipv4 until it has one."));
}
