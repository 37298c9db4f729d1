/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where probes of addresses go.
 *
 * One field per row of probe.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct probe_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/probe.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool probe_config_load(struct arena *mem, const struct config *cfg,
		       struct probe_config *out, struct err *err) MUST_CHECK;
