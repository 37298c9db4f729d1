/* SPDX-License-Identifier: Apache-2.0 */
#include "config/virtual_config.h"

#include "base/macros.h"

static const struct area_field fields[] = {
#define PARAM(T, name, ...)           {#name, offsetof(struct virtual_config, name)},
#define PARAM_AS(T, field, name, ...) {name, offsetof(struct virtual_config, field)},
#include "config/virtual.def"
#undef PARAM
#undef PARAM_AS
};

bool
virtual_config_load(struct arena *mem, const struct config *cfg,
		    struct virtual_config *out, struct err *err)
{
	return area_load(mem, cfg, fields, ARRAY_LEN(fields), out, err);
}
