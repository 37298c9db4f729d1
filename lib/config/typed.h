/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Text of a parameter to its type, with the row's bounds; for typed.c's users inside this
 * folder and for values that are not parameters of main.cf. Pure.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "config/param.h"

/* The errors are Postfix's: "bad boolean configuration: N = V", "bad numerical
 * configuration: N = V", "invalid N parameter value V < MIN", "parameter N: bad time
 * value or unit: V", "bad string length 0 < 1: N =". max 0 is no limit. */
bool typed_bool(struct str name, struct str value, bool *out, struct err *err) MUST_CHECK;
bool typed_int(struct str name, struct str value, int64_t min, int64_t max, int64_t *out,
	       struct err *err) MUST_CHECK;
bool typed_time(struct str name, struct str value, char unit, int64_t min, int64_t max,
		int64_t *out, struct err *err) MUST_CHECK;
bool typed_str(struct str name, struct str value, int64_t min, int64_t max,
	       struct err *err) MUST_CHECK;
