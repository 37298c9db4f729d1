/* SPDX-License-Identifier: Apache-2.0 */
#include "config/smtp_tls_config.h"

#include "base/macros.h"

static const struct area_field fields[] = {
#define PARAM(T, name, ...)           {#name, offsetof(struct smtp_tls_config, name)},
#define PARAM_AS(T, field, name, ...) {name, offsetof(struct smtp_tls_config, field)},
#include "config/smtp_tls.def"
#undef PARAM
#undef PARAM_AS
};

bool
smtp_tls_config_load(struct arena *mem, const struct config *cfg,
		     struct smtp_tls_config *out, struct err *err)
{
	return area_load(mem, cfg, fields, ARRAY_LEN(fields), out, err);
}
