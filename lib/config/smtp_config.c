/* SPDX-License-Identifier: Apache-2.0 */
#include "config/smtp_config.h"

#include "base/macros.h"

static const struct area_field fields[] = {
#define PARAM(T, name, ...)           {#name, offsetof(struct smtp_config, name)},
#define PARAM_AS(T, field, name, ...) {name, offsetof(struct smtp_config, field)},
#include "config/smtp.def"
#undef PARAM
#undef PARAM_AS
};

bool
smtp_config_load(struct arena *mem, const struct config *cfg, struct smtp_config *out,
		 struct err *err)
{
	return area_load_smtp(mem, cfg, fields, ARRAY_LEN(fields), out, err);
}
