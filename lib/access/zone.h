/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DNS lists: "zone" or "zone=d.d.d.d", where each d is a number or "[n;n..n]"
 * (postconf(5) reject_rbl_client). Pure.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct zone {
	struct str text; /* as written, with the filter */
	struct str name; /* without */
	bool has_filter;
	unsigned char allowed[4][32]; /* per byte of the answer, a bit per value */
};

/* Errors (ERR_CONFIG): a filter that is not one. */
bool zone_parse(struct str text, struct zone *out, struct err *err) MUST_CHECK;

/* Is this A record (text) one that counts? */
bool zone_accepts(const struct zone *zone, struct str answer);
