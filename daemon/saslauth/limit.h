/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Failed log-ins of the last minute, by name (an address, a user). Pure but for the clock
 * that is handed in. Bounded: LIMIT_NAMES_MAX names, then the oldest is forgotten.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct limit;

enum { LIMIT_NAMES_MAX = 20000, LIMIT_WINDOW_MS = 60000 };

/* most: failures that are allowed in a window; 0: any number. */
struct limit *limit_new(int64_t most);
void limit_free(struct limit **l);

bool limit_is_reached(const struct limit *l, struct str name, int64_t now_ms);
void limit_count(struct limit *l, struct str name, int64_t now_ms);
/* It was the right one after all. */
void limit_forget(struct limit *l, struct str name);
