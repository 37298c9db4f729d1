/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses into their usual form (facts: routing 1.1): routes cut, `site!user` and
 * `user%site` turned round, a missing domain added. Pure text; no table is asked.
 */

#include "base/str.h"

struct arena;
struct rewrite_rules;

/* An internal address as written to its usual form. An empty address stays empty. */
struct str rewrite_form(struct arena *mem, const struct rewrite_rules *rules,
			struct str address);
