/* SPDX-License-Identifier: Apache-2.0 */
#include "dnsbl.h"

#include "base/arena.h"

enum { WEIGHT_MAX = 1000000 };

static bool
parse_site(struct str word, struct dnsbl_site *out, struct err *err)
{
	size_t star = str_rindex(word, '*');
	struct str zone = str_head(word, star);
	int64_t weight = 1;

	if (star < word.len &&
	    !str_to_i64(str_skip(word, star + 1), -WEIGHT_MAX, WEIGHT_MAX, &weight))
		return err_set(err, ERR_CONFIG,
			       "bad DNSBL weight factor \"" PRI_STR "\" in \"" PRI_STR
			       "\"",
			       STR_ARG(str_skip(word, star + 1)), STR_ARG(word));
	out->weight = (int)weight;
	if (!zone_parse(zone, &out->zone, err))
		return err_prefix(err, "bad DNSBL filter syntax");
	if (out->zone.name.len == 0 ||
	    str_index_any(out->zone.name, ":/ ") < out->zone.name.len)
		return err_set(err, ERR_CONFIG,
			       "bad DNSBL domain name \"" PRI_STR "\" in \"" PRI_STR "\"",
			       STR_ARG(out->zone.name), STR_ARG(word));
	return true;
}

static size_t
domain_index(struct dnsbl *d, struct str name)
{
	for (size_t i = 0; i < d->n_domains; i++)
		if (str_ieq(d->domains[i], name))
			return i;
	d->domains[d->n_domains] = name;
	return d->n_domains++;
}

bool
dnsbl_parse(struct arena *mem, struct str text, struct dnsbl *out, struct err *err)
{
	struct dnsbl d = {
		.sites = arena_alloc_array(mem, DNSBL_SITES_MAX, sizeof(*d.sites)),
		.domains = arena_alloc_array(mem, DNSBL_SITES_MAX, sizeof(*d.domains)),
	};
	struct str word;

	while (str_token(&text, ", \t\r\n", &word)) {
		if (d.n_sites == DNSBL_SITES_MAX)
			return err_set(err, ERR_CONFIG, "more than %d DNSBL sites",
				       DNSBL_SITES_MAX);
		if (!parse_site(word, &d.sites[d.n_sites], err))
			return false;
		d.sites[d.n_sites].domain =
			domain_index(&d, d.sites[d.n_sites].zone.name);
		d.n_sites++;
	}
	*out = d;
	return true;
}

static bool
accepts_any(const struct zone *zone, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n_records; i++)
		if (answer->records[i].type == DNS_TYPE_A &&
		    zone_accepts(zone, answer->records[i].text))
			return true;
	return false;
}

int
dnsbl_score(const struct dnsbl *d, size_t domain, const struct dns_answer *answer)
{
	int score = 0;

	if (answer->result != DNS_FOUND)
		return 0;
	for (size_t i = 0; i < d->n_sites; i++)
		if (d->sites[i].domain == domain &&
		    accepts_any(&d->sites[i].zone, answer))
			score += d->sites[i].weight;
	return score;
}
