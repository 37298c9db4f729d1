/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * virtual_alias_maps: from one recipient to all that it stands for (facts: queue 3.3). An
 * answer is complete or there is none: a table that fails makes the whole expansion fail
 * for now.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct rewrite_rules;

/* One replacement on the way, for explanations. */
struct expand_step {
	struct str from;
	struct str to; /* the table's value */
	struct str key;
	const char *table;
};

struct expand_result {
	struct str *addresses; /* internal form; just the one that was asked for if no
				  table has it */
	size_t n_addresses;
	struct expand_step *steps;
	size_t n_steps;
};

/* False: ERR_TEMP with the text that cleanup logs ("virtual_alias_maps map lookup problem
 * for X", "unreasonable virtual_alias_maps map expansion size for X"). */
bool expand_recipient(struct arena *mem, const struct rewrite_rules *rules,
		      struct str address, struct expand_result *out,
		      struct err *err) MUST_CHECK;
