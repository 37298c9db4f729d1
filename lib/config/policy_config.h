/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy services: how check_policy_service asks them.
 *
 * One field per row of policy.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct policy_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/policy.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool policy_config_load(struct arena *mem, const struct config *cfg,
			struct policy_config *out, struct err *err) MUST_CHECK;
