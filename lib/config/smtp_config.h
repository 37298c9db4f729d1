/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The SMTP client (as lmtp it reads the names of lmtp.def). In a program named lmtp
 * (process_name) the same fields have the values of the lmtp_ names: smtp_helo_timeout is
 * lmtp_lhlo_timeout there.
 *
 * One field per row of smtp.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct smtp_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/smtp.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool smtp_config_load(struct arena *mem, const struct config *cfg,
		      struct smtp_config *out, struct err *err) MUST_CHECK;
