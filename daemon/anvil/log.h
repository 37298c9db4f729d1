/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Every line that anvil writes and others parse.
 */

#include <stdbool.h>
#include <stdint.h>

struct counts_peak;
struct log;

/* "statistics: max connection rate 5/60s for (smtp:192.0.2.1) at Nov 24 10:30:06";
 * unit_s 0: no rate. */
void log_peak(struct log *log, const char *name, int64_t unit_s,
	      const struct counts_peak *peak);
