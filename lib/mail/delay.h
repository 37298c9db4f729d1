/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the log writes seconds: `12`, `5`, `1.2`, `0.31`, `0.02`. Two significant digits,
 * never finer than max_decimals (delay_logging_resolution_limit, 0 to 6), rounded half
 * up, no zeros at the end. Negative durations are 0: a clock was set back.
 */

#include <stdint.h>

#include "base/str.h"

struct arena;

struct str delay_format(struct arena *mem, int64_t usec, unsigned max_decimals);
