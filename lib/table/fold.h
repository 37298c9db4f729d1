/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lower case for look-up keys. Unicode's simple lower case where utf8 is set, else ASCII
 * only. Locale settings of the process do not matter.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;

/* A copy in the arena; invalid UTF-8 is folded as ASCII. */
struct str fold_key(struct arena *mem, struct str key, bool utf8);
