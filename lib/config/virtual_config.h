/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Delivery to virtual mailboxes.
 *
 * One field per row of virtual.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct virtual_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/virtual.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool virtual_config_load(struct arena *mem, const struct config *cfg,
			 struct virtual_config *out, struct err *err) MUST_CHECK;
