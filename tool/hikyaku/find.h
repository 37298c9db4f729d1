/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Finds a short pattern in large blocks, ASCII letters in either case, at about the speed
 * of memory: two of the pattern's rarest bytes are compared 32 positions at a time (AVX2
 * where the processor has it), and only where both fit is the pattern compared.
 */

#include <stddef.h>

#include "base/str.h"

enum { FIND_PATTERN_MAX = 256 };

struct find {
	char pattern[FIND_PATTERN_MAX]; /* lower case */
	size_t len;
	size_t at_a, at_b; /* the two rarest positions, at_a <= at_b */
};

/* pattern: 1 to FIND_PATTERN_MAX bytes (longer ones are cut: check hits yourself). */
void find_init(struct find *f, struct str pattern);

/* Offset of the first occurrence at or after `from`, or block.len. */
size_t find_next(const struct find *f, struct str block, size_t from);

/* How many bytes of s are LF. */
size_t find_count_lines(struct str s);
