/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The screener in front of the SMTP server.
 *
 * One field per row of postscreen.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct postscreen_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/postscreen.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool postscreen_config_load(struct arena *mem, const struct config *cfg,
			    struct postscreen_config *out, struct err *err) MUST_CHECK;
