/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is done to mail that comes in, by those who let it in.
 *
 * One field per row of receive.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct receive_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/receive.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool receive_config_load(struct arena *mem, const struct config *cfg,
			 struct receive_config *out, struct err *err) MUST_CHECK;
