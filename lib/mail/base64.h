/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base64 of RFC 4648 section 4, without line breaks. */

#include <stdbool.h>

#include "base/macros.h"
#include "base/str.h"

struct arena;

struct str base64_encode(struct arena *mem, struct str raw);

/* False for anything but whole groups of four of the alphabet with right padding. */
bool base64_decode(struct arena *mem, struct str text, struct str *raw_out) MUST_CHECK;
