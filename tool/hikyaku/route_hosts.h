/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The second half of an explanation: the hosts that the SMTP client would try for a next
 * hop, and its fallback, in the order in which it would. Asks the DNS.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "config/common_config.h"
#include "config/smtp_config.h"
#include "dns/lookup.h"

#include "asker.h"
#include "rows.h"

struct config;
struct master_service;
struct rewrite_rules;

/* One transport of master.cf that is the SMTP client, with its own -o settings. */
struct smtp_transport {
	struct arena *mem;
	const struct master_service *service;
	const char *master_file;
	struct config *config;
	struct common_config common;
	struct smtp_config smtp;
	struct lookup_rules rules;
};

bool smtp_transport_load(struct arena *mem, const char *dir, const char *master_file,
			 const struct master_service *service,
			 const struct rewrite_rules *rules, struct smtp_transport *out,
			 struct err *err) MUST_CHECK;

/* "relayhost = $mydomain (main.cf line 3)", as it is written. */
struct str setting_text(struct arena *mem, const struct config *cfg,
			const struct smtp_transport *t, const char *parameter);

enum route_end {
	ROUTE_GOES,
	ROUTE_WAITS,
	ROUTE_RETURNED,
	ROUTE_PASSED, /* to best_mx_transport: this machine is the best mail exchanger */
};

/* Rows for the next hop's hosts and for the fallback; hosts: an array to which each host
 * is added as an object. asker NULL: offline, which looks nothing up. What becomes of
 * the mail if there is no host to try at all is what the client does: it waits where it
 * is we who named a wrong host (relayhost is the parameter's value), else it depends on
 * what the DNS said. */
enum route_end route_hosts(struct smtp_transport *t, struct asker *asker,
			   struct str nexthop, struct str relayhost, struct rows *rows,
			   json_t *hosts);
