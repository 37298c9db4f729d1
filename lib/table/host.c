/* SPDX-License-Identifier: Apache-2.0 */
#include "table/host.h"

#include "base/arena.h"

#include "table/table_internal.h"

static const char key;

void
table_host_set(struct arena *mem, const struct table_host *host)
{
	arena_set_note(mem, &key, host);
}

void
table_host_config(struct arena *mem, const struct config *config)
{
	struct table_host *host = ARENA_NEW(mem, struct table_host);

	host->config = config;
	table_host_set(mem, host);
}

const struct table_host *
table_host_get(const struct arena *mem)
{
	return arena_note(mem, &key);
}

/* A table that lives elsewhere keeps nothing here: several fibers may be inside. */
static enum lookup
asked_lookup(struct table *t, struct arena *mem, struct str lookup_key,
	     struct str *value_out, struct err *err)
{
	const struct table_host *host = t->state;

	return host->ask(host->arg, mem, t->name, lookup_key, value_out, err);
}

const struct table_type table_type_asked = {
	.name = "asked",
	.lookup = asked_lookup,
};
