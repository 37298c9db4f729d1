/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every program shares: places, names, networks, limits.
 *
 * One field per row of common.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct common_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/common.def"
#include "config/ours.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool common_config_load(struct arena *mem, const struct config *cfg,
			struct common_config *out, struct err *err) MUST_CHECK;
