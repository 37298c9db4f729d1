/* SPDX-License-Identifier: Apache-2.0 */
#include "config/common_config.h"

#include "base/macros.h"

#include "config/value.h"

static const struct area_field fields[] = {
#define PARAM(T, name, ...)           {#name, offsetof(struct common_config, name)},
#define PARAM_AS(T, field, name, ...) {name, offsetof(struct common_config, field)},
#include "config/common.def"
#include "config/ours.def"
#undef PARAM
#undef PARAM_AS
};

/* A word that is not understood would be a protocol that is missing everywhere. */
static bool
protocols_are_known(struct str list, struct err *err)
{
	struct str rest = list;
	struct str word;

	while (list_next(&rest, &word)) {
		if (!list_has_exactly(STR("all ipv4 ipv6"), word))
			return err_set(err, ERR_CONFIG,
				       "unknown inet_protocols value \"" PRI_STR
				       "\" in \"" PRI_STR "\"",
				       STR_ARG(word), STR_ARG(list));
	}
	return true;
}

bool
common_config_load(struct arena *mem, const struct config *cfg, struct common_config *out,
		   struct err *err)
{
	return area_load(mem, cfg, fields, ARRAY_LEN(fields), out, err) &&
	       (protocols_are_known(out->inet_protocols, err) ||
		area_located(cfg, STR("inet_protocols"), err));
}
