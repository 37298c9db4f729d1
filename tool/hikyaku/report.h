/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All that a search found, in order, in full or one line each, and what was left out: no
 * line that has the key is passed over in silence.
 *
 * Text: with more than a few results each has one line. Lines of kinds that trace does
 * not know (of other programs mostly) are shown as they were logged; many of them are
 * summed up by program. JSON: one object, always in full.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#include "render.h"

struct logfiles;
struct scan;
struct story;

struct report {
	struct render render;
	struct str key;
	const struct logfiles *files;
	const struct scan *scan;
	const struct story *story; /* finished */
	bool all;                  /* in full, whatever their number */
	bool json;
	bool limited; /* --since or --until was given */
};

/* What was found, to render.out. Returns how many stories and lines that was. */
size_t report_found(const struct report *r);

/* Where was searched in vain, and what to try; text only. */
void report_nothing(const struct report *r);

/* What may be missing: damaged logs and lines, too many matches. To standard error. */
void report_gaps(const struct report *r);
