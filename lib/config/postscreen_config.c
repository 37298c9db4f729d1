/* SPDX-License-Identifier: Apache-2.0 */
#include "config/postscreen_config.h"

#include "base/macros.h"

static const struct area_field fields[] = {
#define PARAM(T, name, ...)           {#name, offsetof(struct postscreen_config, name)},
#define PARAM_AS(T, field, name, ...) {name, offsetof(struct postscreen_config, field)},
#include "config/postscreen.def"
#undef PARAM
#undef PARAM_AS
};

bool
postscreen_config_load(struct arena *mem, const struct config *cfg,
		       struct postscreen_config *out, struct err *err)
{
	return area_load(mem, cfg, fields, ARRAY_LEN(fields), out, err);
}
