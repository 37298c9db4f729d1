/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name servers themselves.
 */
#include "base/arena.h"

#include "check_rows.h"
#include "finding.h"

void
check_dns_server(struct check *c)
{
	bool answers[SERVERS_MAX] = {false};
	size_t n_answer = 0;

	for (size_t i = 0; i < c->dns.servers.n; i++) {
		answers[i] = stub_server_answers(&c->dns, i, c->common.myhostname);
		n_answer += answers[i];
	}
	for (size_t i = 0; i < c->dns.servers.n; i++) {
		struct str server = str_from(c->dns.servers.list[i]);
		bool by_file = value_of(c, "resolver_nameservers").len == 0;

		if (answers[i])
			continue;
		finding_add(c,
			    by_file ? place_file("/etc/resolv.conf")
				    : place_parameter(c, "resolver_nameservers"),
			    str_printf(c->mem,
				       "The name server " PRI_STR " does not answer: %s.",
				       STR_ARG(server),
				       n_answer > 0 ? "every look-up may wait for it"
						    : "none does, so no mail can be "
						      "delivered by name"),
			    STR("Start it, or name another."));
	}
}
