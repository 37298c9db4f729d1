/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/date.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/panic.h"

struct str
date_format_tm(struct arena *mem, const struct tm *tm)
{
	/* Not strftime: the names must not follow the user's language. */
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
					   "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	long minutes = labs(tm->tm_gmtoff) / 60;
	struct str zone = str_from(tm->tm_zone);

	ensure(tm->tm_wday >= 0 && tm->tm_wday < 7 && tm->tm_mon >= 0 && tm->tm_mon < 12);
	return str_printf(
		mem, "%s, %02d %s %d %02d:%02d:%02d %c%02ld%02ld%s" PRI_STR "%s",
		days[tm->tm_wday], tm->tm_mday, months[tm->tm_mon], 1900 + tm->tm_year,
		tm->tm_hour, tm->tm_min, tm->tm_sec, tm->tm_gmtoff < 0 ? '-' : '+',
		minutes / 60, minutes % 60, zone.len > 0 ? " (" : "", STR_ARG(zone),
		zone.len > 0 ? ")" : "");
}

struct str
date_format(struct arena *mem, time_t when)
{
	struct tm tm;

	ensure(localtime_r(&when, &tm) != NULL);
	return date_format_tm(mem, &tm);
}
