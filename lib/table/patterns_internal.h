/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What regexp: and pcre: share: a file of rules "/pattern/flags result" with "!" and
 * "if ... endif", the first that holds decides; $1 in the result stands for what the
 * first group matched. How a pattern is compiled and matched is the engine's.
 *
 * A match that fails (out of memory, too much work) fails the look-up: nobody knows what
 * the rule would have said.
 */

#include "table/text_internal.h"

/* The groups of a pattern, 0 being the whole. */
enum { PATTERN_GROUPS_MAX = 100 };

/* A part of the key; length 0 for a group that took no part in the match. */
struct span {
	size_t begin, length;
};

/* A letter behind the pattern switches the bit; bit 0: accepted with a warning, without
 * effect. The list ends with letter '\0'. */
struct pattern_flag {
	char letter;
	int bit;
};

enum pattern_match { PATTERN_MATCHES, PATTERN_DIFFERS, PATTERN_FAILED };

struct pattern_engine {
	const char *skipping; /* how a complaint says it: "skipping", "ignoring" */
	const struct pattern_flag *flags;
	int default_flags;
	/* Before the first pattern of a file; *state_out lives as long as mem. */
	bool (*start)(struct table *t, struct arena *mem, void **state_out,
		      struct err *err);
	/* On failure *why is the complaint. */
	bool (*compile)(void *state, struct arena *mem, struct str text, int flags,
			void **pattern_out, size_t *n_groups_out, struct err *why);
	/* groups: NULL, or PATTERN_GROUPS_MAX to fill in. key has a NUL behind it. */
	enum pattern_match (*match)(void *state, void *pattern, struct str key,
				    struct span *groups, struct err *err);
};

bool patterns_load(struct table *t, const struct pattern_engine *engine,
		   struct arena *mem, struct text_rules *lines, void **data_out,
		   struct err *err) MUST_CHECK;

/* The lookup() of these types. */
enum lookup patterns_lookup(struct table *t, struct arena *mem, struct str key,
			    struct str *value_out, struct err *err) MUST_CHECK;
