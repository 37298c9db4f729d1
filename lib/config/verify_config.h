/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Address verification: the cache, and asking it.
 *
 * One field per row of verify.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct verify_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/verify.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool verify_config_load(struct arena *mem, const struct config *cfg,
			struct verify_config *out, struct err *err) MUST_CHECK;
