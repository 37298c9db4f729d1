/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * AUTH in the SMTP server, and the daemon saslauth.
 *
 * One field per row of sasl.def and sasl_ours.def, of the same name; see area.h for the
 * types.
 */

#include "config/area.h"

struct sasl_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/sasl.def"
#include "config/sasl_ours.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool sasl_config_load(struct arena *mem, const struct config *cfg,
		      struct sasl_config *out, struct err *err) MUST_CHECK;
