/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the names in a configuration are to us: for warnings of check and at start.
 */
#include "config/use.h"

#include "base/arena.h"
#include "config/config_internal.h"
#include "config/expand.h"
#include "config/param.h"

struct search {
	struct str name;
	bool found;
};

static void
see(void *closure, struct str name)
{
	struct search *s = closure;

	s->found = s->found || str_eq(s->name, name);
}

bool
config_refers(struct str text, struct str name)
{
	struct search s = {.name = name};

	if (str_find(text, name) == text.len)
		return false;
	expand_names(text, see, &s);
	return s.found;
}

static bool
someone_refers(const struct config *cfg, struct str name)
{
	for (size_t i = 0; i < cfg->count; i++) {
		if (!str_eq(cfg->sorted[i]->name, name) &&
		    config_refers(cfg->sorted[i]->value, name))
			return true;
	}
	return false;
}

/* Of what we do not do, what is switched off anyway: nothing is missing then. */
static bool
is_switched_off(const struct config *cfg, const struct param *row)
{
	const struct config_setting *s = map_find(cfg->settings, param_name(row));

	if (s == NULL)
		return false;
	if (row->type == PARAM_STR || row->type == PARAM_RAW)
		return s->value.len == 0;
	/* biff: on by default in Postfix, and off in every main.cf of Debian's. */
	return row->type == PARAM_BOOL && str_ieq(s->value, STR("no")) &&
	       (str_eq(param_default(row), STR("no")) ||
		str_eq(param_name(row), STR("biff")));
}

enum config_use
config_use(const struct config *cfg, struct str name)
{
	const struct param *row = param_find(name);

	if (row == NULL && config_transport_default(name).len > 0)
		return CONFIG_USE_DERIVED;
	if (row == NULL)
		return someone_refers(cfg, name) ? CONFIG_USE_USER : CONFIG_USE_UNKNOWN;
	switch (row->state) {
	case PARAM_ACTED:
	case PARAM_OURS:
	case PARAM_RUNTIME:
		return CONFIG_USE_ACTED;
	case PARAM_KNOWN:
		return is_switched_off(cfg, row) ? CONFIG_USE_ACTED
						 : CONFIG_USE_NOT_ACTED;
	case PARAM_NEWER:
		return someone_refers(cfg, name) ? CONFIG_USE_USER : CONFIG_USE_NEWER;
	case PARAM_OLD:
		return CONFIG_USE_OLD;
	}
	return CONFIG_USE_UNKNOWN;
}

bool
config_use_text(struct arena *mem, const struct config *cfg,
		const struct config_setting *setting, struct str *out)
{
	struct str name = setting->name, where;
	const struct param *near;

	where = setting->origin.where == CONFIG_FROM_FILE
			? str_printf(mem, "%s, line %u", setting->origin.file,
				     setting->origin.line)
			: config_origin_text(mem, setting->origin);
	switch (config_use(cfg, name)) {
	case CONFIG_USE_ACTED:
	case CONFIG_USE_DERIVED:
	case CONFIG_USE_USER:
		return false;
	case CONFIG_USE_NOT_ACTED:
		*out = str_printf(mem,
				  PRI_STR
				  ": " PRI_STR
				  " is not supported yet: the setting has no effect",
				  STR_ARG(where), STR_ARG(name));
		return true;
	case CONFIG_USE_NEWER:
		*out = str_printf(mem,
				  PRI_STR ": " PRI_STR " belongs to a newer Postfix than "
					  "3.7: the setting has no effect",
				  STR_ARG(where), STR_ARG(name));
		return true;
	case CONFIG_USE_OLD:
		*out = str_printf(
			mem, PRI_STR ": " PRI_STR " is an old name, use %s instead",
			STR_ARG(where), STR_ARG(name), param_summary(param_find(name)));
		return true;
	case CONFIG_USE_UNKNOWN:
		near = param_nearest(name);
		*out = near == NULL
			       ? str_printf(mem, PRI_STR ": unused parameter: " PRI_STR,
					    STR_ARG(where), STR_ARG(name))
			       : str_printf(mem,
					    PRI_STR ": unused parameter: " PRI_STR
						    " (did you mean " PRI_STR "?)",
					    STR_ARG(where), STR_ARG(name),
					    STR_ARG(param_name(near)));
		return true;
	}
	return false;
}

bool
config_level_compare(struct str a, struct str b, int *out)
{
	struct err err;

	return expand_level_compare(a, b, out, &err);
}
