/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Texts of the administrator with values of the session in them: default_rbl_reply,
 * rbl_reply_maps, smtpd_reject_footer. Pure. Values come from outside, so every byte of
 * them that smtpd_expansion_filter does not allow becomes "_".
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct access_request;
struct arena;

enum { TEMPLATE_MAX = 8192 };

/* What the names stand for. The rbl_ ones are empty outside lists. */
struct template_values {
	const struct access_request *request;
	struct str hostname;
	struct str allowed; /* smtpd_expansion_filter, as written */
	struct str localtime;
	int rbl_code;
	struct str rbl_class, rbl_domain, rbl_what, rbl_reason;
};

bool access_template_expand(struct arena *mem, struct str text,
			    const struct template_values *values, struct str *out,
			    struct err *err) MUST_CHECK;
