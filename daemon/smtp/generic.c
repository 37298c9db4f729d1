/* SPDX-License-Identifier: Apache-2.0 */
#include "generic.h"

#include "base/arena.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"
#include "mail/token.h"
#include "rewrite/canonical.h"
#include "rewrite/keys.h"
#include "rewrite/rules.h"
#include "table/maps.h"
#include "table/match.h"

#include "checks.h"
#include "smtp.h"

bool
generic_load(struct smtp *s, struct generic *out, struct err *err)
{
	struct generic g = {.rules = ARENA_NEW(s->daemon->mem, struct rewrite_rules)};

	*out = (struct generic){.maps = NULL};
	if (!checks_open(s, "smtp_generic_maps", s->config.smtp_generic_maps, &g.maps,
			 err))
		return false;
	if (g.maps == NULL)
		return true;
	if (!rewrite_rules_load_own(s->daemon->mem, s->daemon->config, g.rules, err))
		return false;
	daemon_warn_of_match(s->daemon, g.rules->local_domains);
	*out = g;
	return true;
}

bool
generic_address(const struct generic *g, struct arena *mem, struct str address,
		struct str *out, struct str *warning_out, struct err *err)
{
	struct address_list list;
	struct keys_hit hit;
	struct err why;

	*warning_out = STR_EMPTY;
	*out = address;
	if (g->maps == NULL || address.len == 0)
		return true;
	switch (keys_find_address(mem, g->rules, g->maps, address,
				  KEYS_USER | KEYS_DOMAIN, &hit, &why)) {
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		return err_set(err, ERR_TEMP, "%s map lookup problem for " PRI_STR ": %s",
			       maps_title(g->maps), STR_ARG(address), why.text);
	case LOOKUP_FOUND:
		break;
	}
	address_list_parse(mem, hit.hit.value, TOKEN_LIMIT_DEFAULT, &list);
	if (list.count == 0)
		return err_set(err, ERR_TEMP, "%s map lookup problem for " PRI_STR,
			       maps_title(g->maps), STR_ARG(address));
	if (list.count > 1)
		*warning_out = str_printf(mem, "multi-valued %s result for " PRI_STR,
					  maps_title(g->maps), STR_ARG(address));
	*out = canonical_complete(mem, g->rules, address, list.internal[0], &hit,
				  g->rules->propagate_generic);
	return true;
}

struct field_rewrite {
	const struct generic *generic;
	struct log *log;
};

static bool
replace_address(void *arg, struct arena *mem, struct str external, struct str *new_out,
		struct err *err)
{
	const struct field_rewrite *r = arg;
	struct str internal = address_unquote(mem, external);
	struct str replaced;
	struct str warning;

	if (!generic_address(r->generic, mem, internal, &replaced, &warning, err))
		return false;
	if (warning.len > 0)
		log_warning(r->log, PRI_STR, STR_ARG(warning));
	if (!str_eq(replaced, internal))
		*new_out = address_quote_header(mem, replaced);
	return true;
}

bool
generic_header(struct smtp *s, const struct generic *g, struct arena *mem,
	       const struct header_name *row, struct str *text, struct err *err)
{
	struct field_rewrite r = {.generic = g, .log = s->daemon->log};
	struct header_field f;
	struct str value;
	bool changed;

	if (g->maps == NULL || row == NULL ||
	    (row->flags & (HEADER_IS_SENDER | HEADER_IS_RECIPIENT)) == 0 ||
	    !header_field_parse(*text, &f))
		return true;
	if (!address_list_rewrite(mem, f.value, TOKEN_LIMIT_DEFAULT, replace_address, &r,
				  &value, &changed, err))
		return false;
	if (changed)
		*text = header_fill(mem, header_fold(mem, row->name, value));
	return true;
}
