/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who may do what: the restriction lists of smtpd, and what they need.
 *
 * One field per row of access.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct access_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/access.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool access_config_load(struct arena *mem, const struct config *cfg,
			struct access_config *out, struct err *err) MUST_CHECK;
