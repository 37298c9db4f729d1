/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* xtext of RFC 3461 section 4: printable bytes as they are, others as +XX. */

#include <stdbool.h>

#include "base/macros.h"
#include "base/str.h"

struct arena;

struct str xtext_encode(struct arena *mem, struct str raw);

/* False for anything that is not xtext: `+` without two upper-case hexadecimal digits,
 * `=`, blanks, control bytes, bytes above 126. */
bool xtext_decode(struct arena *mem, struct str text, struct str *raw_out) MUST_CHECK;
