/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"

#include "config/config.h"
#include "config/master_cf.h"
#include "config/value.h"
#include "daemon/daemon.h"
#include "table/table.h"

#include "proxymap.h"

enum { TABLES_MAX = 500 };

static const struct str prefix = STR_INIT("proxy:");

struct found {
	struct arena *mem;
	struct map *seen;
	const char **names;
	size_t n;
};

static bool
add(struct found *f, struct str name, struct err *err)
{
	if (map_find(f->seen, name) != NULL)
		return true;
	if (f->n == TABLES_MAX)
		return err_set(err, ERR_CONFIG, "more than %d tables", TABLES_MAX);
	f->names[f->n++] = str_c(f->mem, name);
	map_set(f->seen, name, f);
	return true;
}

/* Items of proxy_read_maps that begin with proxy:. What else is in the parameters that it
 * refers to does not count. */
static bool
add_listed(struct found *f, struct str list, struct err *err)
{
	struct str item;

	while (list_next(&list, &item)) {
		const char *why;
		struct str inner;

		if (item.p[0] == '{' && list_unbrace(item, &inner, &why))
			item = inner;
		if (!str_starts(item, prefix))
			continue;
		while (str_starts(item, prefix))
			item = str_skip(item, prefix.len);
		if (item.len > 0 && !add(f, item, err))
			return false;
	}
	return true;
}

/* Tables on servers in any text, also inside other tables. */
static bool
add_mentioned(struct found *f, struct str text, struct err *err)
{
	struct str word, type, name;

	while (str_token(&text, ", \t\r\n{}", &word)) {
		while (word.len > 0 && word.p[0] == '!')
			word = str_skip(word, 1);
		if (str_split(word, ':', &type, &name) && name.len > 0 &&
		    table_type_is_remote(type) && !add(f, word, err))
			return false;
	}
	return true;
}

static bool
add_from_main(struct found *f, const struct config *cfg, struct err *err)
{
	for (size_t i = 0; i < config_setting_count(cfg); i++) {
		const struct config_setting *s = config_setting_at(cfg, i);
		struct err ignored;
		struct str value;

		if (config_get(f->mem, cfg, s->name, &value, &ignored) &&
		    !add_mentioned(f, value, err))
			return false;
	}
	return true;
}

static bool
add_from_master(struct found *f, const struct config *cfg, struct err *err)
{
	struct master_services services;

	if (!master_cf_load(f->mem, cfg, &services, err))
		return false;
	for (size_t i = 0; i < services.count; i++) {
		const struct master_service *s = &services.at[i];

		for (size_t j = 0; j < s->override_count; j++) {
			struct err ignored;
			struct str value;

			if (config_expand(f->mem, cfg, s->overrides[j].value, &value,
					  &ignored) &&
			    !add_mentioned(f, value, err))
				return false;
		}
	}
	return true;
}

bool
approved_tables(struct arena *mem, struct proxymap *p, const char *const **names_out,
		struct err *err)
{
	const struct config *cfg = p->daemon->config;
	struct found f = {.mem = mem, .seen = map_new_in(mem)};

	f.names = arena_alloc_array(mem, TABLES_MAX + 1, sizeof(*f.names));
	if (p->writes) {
		if (!add_listed(&f, p->config.proxy_write_maps, err))
			return err_prefix(err, "proxy_write_maps");
	} else if (!add_listed(&f, p->config.proxy_read_maps, err) ||
		   !add_from_main(&f, cfg, err) || !add_from_master(&f, cfg, err)) {
		return err_prefix(err, "proxy_read_maps");
	}
	*names_out = f.names;
	return true;
}
