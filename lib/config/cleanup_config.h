/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is done to a message that comes in.
 *
 * One field per row of cleanup.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct cleanup_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/cleanup.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool cleanup_config_load(struct arena *mem, const struct config *cfg,
			 struct cleanup_config *out, struct err *err) MUST_CHECK;
