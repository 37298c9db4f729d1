/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include "base/arena.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "queue/cleanup_status.h"
#include "rewrite/keys.h"
#include "rewrite/masquerade.h"

#include "cleanup.h"
#include "log.h"

static void
note_steps(struct message *m, const struct canonical_result *result)
{
	for (size_t i = 0; i < result->n_steps; i++) {
		const struct canonical_step *step = &result->steps[i];

		if (step->is_multiple)
			log_multiple(m->cleanup->daemon->log, m->id, step->parameter,
				     step->from);
	}
}

static void
fail(struct message *m, const char *text)
{
	log_table_problem(m->cleanup->daemon->log, m->id, text);
	message_fail(m, CLEANUP_WRITE, STR_EMPTY);
}

struct str
mapping_address(struct message *m, struct arena *mem, enum canonical_kind kind,
		struct str address)
{
	const struct rewrite_rules *rules = &m->cleanup->rules;
	struct canonical_result result;
	struct str masked;
	struct err err;

	if ((m->flags & CLEANUP_FLAG_MAP_OK) == 0 || address.len == 0)
		return address;
	if (!canonical_address(mem, rules, kind, address, &result, &err) ||
	    !masquerade_address(mem, rules, kind, result.address, &masked, NULL, &err)) {
		fail(m, err.text);
		return address;
	}
	note_steps(m, &result);
	return masked;
}

bool
mapping_copy(struct message *m, struct maps *maps, struct str address,
	     struct str *copy_out)
{
	struct keys_hit hit;
	struct err err;

	if ((m->flags & CLEANUP_FLAG_BCC_OK) == 0 || address.len == 0)
		return false;
	switch (keys_find_address(m->mem, &m->cleanup->rules, maps, address,
				  KEYS_USER | KEYS_DOMAIN, &hit, &err)) {
	case LOOKUP_FOUND:
		*copy_out = hit.hit.value;
		return true;
	case LOOKUP_ABSENT:
		return false;
	case LOOKUP_FAILED:
		fail(m, str_printf(m->mem, "%s map lookup problem: %s", maps_title(maps),
				   err.text)
				.p);
		return false;
	}
	return false;
}
