/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * "if PATTERN ... endif" of pattern tables: which rules to skip when the condition does
 * not hold. Rules are a flat array; an "if" knows the rule after its "endif".
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum rule_word { RULE_PLAIN, RULE_IF, RULE_ENDIF };

enum { RULES_DEPTH_MAX = 100 };

/* Which one the line begins with; *rest_out is the text after the word. The word must be
 * followed by a blank, the pattern's "!" or delimiter, or nothing. */
enum rule_word rule_word_take(struct str line, struct str *rest_out);

/* The "if"s that are open while the rules are read. */
struct rule_nesting {
	size_t open[RULES_DEPTH_MAX];
	int open_line[RULES_DEPTH_MAX];
	size_t depth;
};
