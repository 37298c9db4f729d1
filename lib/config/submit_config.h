/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * sendmail, postdrop, postqueue, pickup.
 *
 * One field per row of submit.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct submit_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/submit.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool submit_config_load(struct arena *mem, const struct config *cfg,
			struct submit_config *out, struct err *err) MUST_CHECK;
