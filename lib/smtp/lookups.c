/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/lookups.h"

#include "config/common_config.h"
#include "config/smtp_config.h"
#include "config/value.h"
#include "dns/lookup.h"

bool
smtp_lookup_rules(const struct smtp_config *smtp, const struct common_config *common,
		  struct lookup_rules *out, struct err *err)
{
	struct str protocols = common->inet_protocols;
	bool all = list_has(protocols, STR("all"));
	struct lookup_rules r = {
		.dns_disabled =
			smtp->smtp_dns_support_level.len > 0
				? str_ieq(smtp->smtp_dns_support_level, STR("disabled"))
				: smtp->disable_dns_lookups,
		.native = list_has(smtp->smtp_host_lookup, STR("native")),
		.dns = list_has(smtp->smtp_host_lookup, STR("dns")),
		.ignore_mx_error = smtp->ignore_mx_lookup_error,
		.defer_if_no_mx_address = smtp->smtp_defer_if_no_mx_address_found,
		.randomize = smtp->smtp_randomize_addresses,
		.cname_overrides = smtp->smtp_cname_overrides_servername,
		.balance = smtp->smtp_balance_inet_protocols,
		.check_loops = true,
		.use_ipv4 = all || list_has(protocols, STR("ipv4")),
		.use_ipv6 = all || list_has(protocols, STR("ipv6")),
		.address_limit = smtp->smtp_mx_address_limit,
		.own = out->own,
		.n_own = out->n_own,
	};

	if (!r.native && !r.dns)
		return err_set(err, ERR_CONFIG, "bad smtp_host_lookup value: " PRI_STR,
			       STR_ARG(smtp->smtp_host_lookup));
	if (str_ieq(smtp->smtp_address_preference, STR("ipv6")))
		r.preference = LOOKUP_IPV6;
	else if (str_ieq(smtp->smtp_address_preference, STR("ipv4")))
		r.preference = LOOKUP_IPV4;
	else if (!str_ieq(smtp->smtp_address_preference, STR("any")))
		return err_set(err, ERR_CONFIG,
			       "bad smtp_address_preference value: " PRI_STR,
			       STR_ARG(smtp->smtp_address_preference));
	*out = r;
	return true;
}
