/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where log lines go.
 *
 * One field per row of log.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct log_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/log.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool log_config_load(struct arena *mem, const struct config *cfg, struct log_config *out,
		     struct err *err) MUST_CHECK;
