/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Filters that speak the milter protocol.
 *
 * One field per row of milter.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct milter_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/milter.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool milter_config_load(struct arena *mem, const struct config *cfg,
			struct milter_config *out, struct err *err) MUST_CHECK;
