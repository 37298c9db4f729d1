/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The right-hand side of aliases(5), and the lines of .forward and :include: files: what
 * each entry of a line names. Pure.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

/* fn for each entry, in internal form: "user", "user@example.org", "|command",
 * "/file", ":include:/file". False when fn said so:
 * how many are too many is for fn to know. */
bool list_parse(struct arena *mem, struct str line,
		bool (*fn)(void *arg, struct str entry), void *arg);
