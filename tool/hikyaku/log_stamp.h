/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The time at the beginning of a log line, in any of the forms that syslog daemons and
 * mail systems write:
 *
 *	Nov  4 10:02:11              RFC 3164 (day with a blank)
 *	Nov 04 10:02:11              maillog_file (day with a zero)
 *	Nov  4 2026 10:02:11         some syslog daemons
 *	2026-11-24T10:02:11.123+09:00, ...Z, or with a blank for the T    ISO 8601
 *
 * Stamps without a zone are local time. Stamps without a year get the latest year that
 * does not put them more than a day after a reference time (the log file's own time).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Take a stamp off *rest (and one blank after it). Microseconds since 1970 UTC.
 * reference_s: seconds since 1970, used for the year. False, outputs untouched, if the
 * text does not begin with a time. */
bool log_stamp_parse(struct str *rest, int64_t reference_s,
		     int64_t *time_us_out) MUST_CHECK;

/* What a person types after --since or --until, relative to now_s:
 * "2026-11-24", "2026-11-24 10:02[:11]", ISO 8601, "Nov 24 [10:02:11]", "10:02[:11]"
 * (today), "today", "yesterday", "now", "@SECONDS", "90m", "2h", "3d", "1w" (ago).
 * end_of_day: a date alone means its last microsecond. */
bool log_stamp_parse_when(struct str text, int64_t now_s, bool end_of_day,
			  int64_t *time_us_out) MUST_CHECK;
