/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How long to wait before a daemon that ended badly is started again. Pure.
 */

#include <stdint.h>

struct backoff {
	unsigned failures; /* in a row, each after a short life */
};

/* lived_ms: how long it ran. The first time 0, then 1 s doubling up to limit_ms; a life
 * longer than limit_ms makes it the first time again. */
int64_t backoff_next(struct backoff *b, int64_t lived_ms, int64_t limit_ms);
