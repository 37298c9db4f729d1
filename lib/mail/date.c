/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/date.h"

#include "base/arena.h"

/* Not strftime's: its names change with the locale. */
static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct str
date_format_tm(struct arena *mem, const struct tm *tm)
{
	long minutes = tm->tm_gmtoff / 60;
	long positive = minutes < 0 ? -minutes : minutes;

	return str_printf(mem, "%s, %2d %s %d %02d:%02d:%02d %c%02ld%02ld (%s)",
			  days[tm->tm_wday], tm->tm_mday, months[tm->tm_mon],
			  tm->tm_year + 1900, tm->tm_hour, tm->tm_min, tm->tm_sec,
			  minutes < 0 ? '-' : '+', positive / 60, positive % 60,
			  tm->tm_zone);
}

struct str
date_format(struct arena *mem, time_t when)
{
	struct tm tm;

	localtime_r(&when, &tm);
	return date_format_tm(mem, &tm);
}
