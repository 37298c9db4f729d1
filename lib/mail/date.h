/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Dates of header fields (RFC 5322 section 3.3): "Tue, 24 Nov 2026 14:20:00 +0900 (JST)",
 * the day with two digits, the zone name as a comment where there is one.
 */

#include <time.h>

#include "base/str.h"

struct arena;

/* In the local time zone (TZ). */
struct str date_format(struct arena *mem, time_t when);

/* For a broken-down time; tm_gmtoff and tm_zone are used. */
struct str date_format_tm(struct arena *mem, const struct tm *tm);
