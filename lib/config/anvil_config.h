/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What anvil counts per client.
 *
 * One field per row of anvil.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct anvil_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/anvil.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool anvil_config_load(struct arena *mem, const struct config *cfg,
		       struct anvil_config *out, struct err *err) MUST_CHECK;
