/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include <string.h>

#include "base/arena.h"

#include "config/cleanup_config.h"
#include "config/config.h"
#include "rewrite/keys.h"
#include "rewrite/masquerade.h"
#include "rewrite/rules.h"
#include "table/maps.h"

#include "route_hosts.h"
#include "rows.h"

enum { TABLE_SHOWN = 50 };

bool
mapping_open(struct arena *mem, const struct config *cfg,
	     const struct rewrite_rules *rules, struct mapping *out, struct err *err)
{
	struct cleanup_config cleanup;

	if (!cleanup_config_load(mem, cfg, &cleanup, err))
		return false;
	*out = (struct mapping){.mem = mem,
				.config = cfg,
				.rules = rules,
				.always_bcc = cleanup.always_bcc};
	return maps_open(mem, "sender_bcc_maps", cleanup.sender_bcc_maps, TABLE_DEFAULT,
			 &out->sender_bcc, err) &&
	       maps_open(mem, "recipient_bcc_maps", cleanup.recipient_bcc_maps,
			 TABLE_DEFAULT, &out->recipient_bcc, err);
}

const char *
mapping_table(struct arena *mem, const char *table)
{
	if (strlen(table) <= TABLE_SHOWN)
		return table;
	return str_printf(mem, "%.*s...", TABLE_SHOWN, table).p;
}

static struct str
row_text(const struct mapping *m, const char *parameter, struct str key,
	 const char *table)
{
	return str_printf(m->mem, "%s: \"" PRI_STR "\" in %s", parameter, STR_ARG(key),
			  mapping_table(m->mem, table));
}

bool
mapping_address(const struct mapping *m, enum canonical_kind kind, struct str address,
		struct rows *rows, struct str *out, struct err *err)
{
	bool is_sender = kind == CANONICAL_ENVELOPE_SENDER;
	struct canonical_result result;
	struct str masked;

	*out = address;
	if (address.len == 0)
		return true;
	if (!canonical_address(m->mem, m->rules, kind, address, &result, err) ||
	    !masquerade_address(m->mem, m->rules, kind, result.address, &masked, NULL,
				err))
		return false;
	for (size_t i = 0; i < result.n_steps; i++) {
		const struct canonical_step *step = &result.steps[i];

		rows_add(rows, 1, is_sender ? "sender" : "canonical",
			 str_printf(m->mem, PRI_STR " -> " PRI_STR, STR_ARG(step->from),
				    STR_ARG(step->to)),
			 row_text(m, step->parameter, step->key, step->table));
	}
	if (!str_eq(masked, result.address))
		rows_add(rows, 1, is_sender ? "sender" : "masqueraded", masked,
			 setting_text(m->mem, m->config, NULL, "masquerade_domains"));
	*out = masked;
	return true;
}

bool
mapping_copy(const struct mapping *m, struct maps *maps, struct str address,
	     struct str *copy_out, struct str *why_out, struct err *err)
{
	struct keys_hit hit;
	struct err why;

	*copy_out = maps == NULL ? m->always_bcc : STR_EMPTY;
	*why_out = setting_text(m->mem, m->config, NULL, "always_bcc");
	if (maps == NULL || address.len == 0)
		return true;
	switch (keys_find_address(m->mem, m->rules, maps, address,
				  KEYS_USER | KEYS_DOMAIN, &hit, &why)) {
	case LOOKUP_FOUND:
		*copy_out = hit.hit.value;
		*why_out = row_text(m, maps_title(maps), hit.key, hit.hit.table);
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	return err_set(err, ERR_TEMP, "%s map lookup problem: %s", maps_title(maps),
		       why.text);
}
