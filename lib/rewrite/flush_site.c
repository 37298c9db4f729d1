/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/flush_site.h"

#include "base/arena.h"

#include "config/config.h"
#include "config/value.h"
#include "queue/id.h"

bool
flush_sites_open(struct arena *mem, const struct config *cfg, struct match **match_out,
		 struct err *err)
{
	struct str parents;
	struct str sites;

	return config_get(mem, cfg, STR("parent_domain_matches_subdomains"), &parents,
			  err) &&
	       config_get(mem, cfg, STR("fast_flush_domains"), &sites, err) &&
	       match_open(mem, MATCH_DOMAINS, "fast_flush_domains", sites,
			  list_has_exactly(parents, STR("fast_flush_domains"))
				  ? MATCH_PARENT
				  : 0,
			  match_out, err);
}

struct str
flush_site_file(struct arena *mem, struct str site)
{
	struct str lower = str_lower(mem, str_head(site, QUEUE_ID_MAX));
	char *name = str_c(mem, lower);

	for (size_t i = 0; i < lower.len; i++) {
		if (!char_is_alnum(name[i]))
			name[i] = '_';
	}
	/* One letter alone would be a subdirectory. */
	return lower.len == 1 ? str_printf(mem, "%s_", name)
			      : str_from_mem(name, lower.len);
}
