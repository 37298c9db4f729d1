/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The proxymap: not in Postfix.
 *
 * One field per row of proxymap.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct proxymap_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/proxymap.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool proxymap_config_load(struct arena *mem, const struct config *cfg,
			  struct proxymap_config *out, struct err *err) MUST_CHECK;
