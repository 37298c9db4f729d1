/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The process that starts the others.
 *
 * One field per row of master.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct master_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/master.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool master_config_load(struct arena *mem, const struct config *cfg,
			struct master_config *out, struct err *err) MUST_CHECK;
