/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/form.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"

#include "rewrite/rules.h"

/* "@a,@b:user@c" is "user@c" (RFC 5321 appendix C). */
static struct str
without_route(struct str a)
{
	size_t colon = str_index(a, ':');

	return a.len > 0 && a.p[0] == '@' && colon < a.len ? str_skip(a, colon + 1) : a;
}

struct str
rewrite_form(struct arena *mem, const struct rewrite_rules *rules, struct str address)
{
	struct str a = without_route(address);
	struct str local;
	struct str domain;
	struct str head;
	struct str tail;

	if (a.len == 0 || str_eq(a, STR("@")))
		return STR_EMPTY;
	if (!address_split(a, &local, &domain)) {
		size_t percent = str_rindex(a, '%');

		if (rules->config.swap_bangpath && str_split(a, '!', &head, &tail) &&
		    head.len > 0 && tail.len > 0) {
			local = tail;
			domain = head;
		} else if (rules->config.allow_percent_hack && percent < a.len &&
			   percent > 0 && percent + 1 < a.len) {
			local = str_head(a, percent);
			domain = str_skip(a, percent + 1);
		} else if (rules->config.append_at_myorigin) {
			return address_join(mem, a, rules->myorigin);
		} else {
			return a;
		}
	}
	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	if (domain.len > 0 && domain.p[0] != '[' && !str_contains(domain, '.') &&
	    rules->config.append_dot_mydomain)
		domain = str_printf(mem, PRI_STR "." PRI_STR, STR_ARG(domain),
				    STR_ARG(rules->mydomain));
	return address_join(mem, local, domain);
}
