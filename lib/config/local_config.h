/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Local delivery.
 *
 * One field per row of local.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct local_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/local.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool local_config_load(struct arena *mem, const struct config *cfg,
		       struct local_config *out, struct err *err) MUST_CHECK;
