/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Address rewriting, address classes, transports.
 *
 * One field per row of rewrite.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct rewrite_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/rewrite.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool rewrite_config_load(struct arena *mem, const struct config *cfg,
			 struct rewrite_config *out, struct err *err) MUST_CHECK;
