/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Delivery status notices.
 *
 * One field per row of bounce.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct bounce_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/bounce.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool bounce_config_load(struct arena *mem, const struct config *cfg,
			struct bounce_config *out, struct err *err) MUST_CHECK;
