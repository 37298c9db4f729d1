/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue: scheduling, retries, limits.
 *
 * One field per row of qmgr.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct qmgr_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/qmgr.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool qmgr_config_load(struct arena *mem, const struct config *cfg,
		      struct qmgr_config *out, struct err *err) MUST_CHECK;
