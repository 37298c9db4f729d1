/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS, of the SMTP server and the SMTP client.
 *
 * One field per row of tls.def, of the same name; see area.h for the types.
 */

#include "config/area.h"

struct tls_config {
#define PARAM    AREA_FIELD
#define PARAM_AS AREA_FIELD_AS
#include "config/tls.def"
#undef PARAM
#undef PARAM_AS
};

/* Texts live in mem. Fails at the first bad value; *out is then partly filled. */
bool tls_config_load(struct arena *mem, const struct config *cfg, struct tls_config *out,
		     struct err *err) MUST_CHECK;
