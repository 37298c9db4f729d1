/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"

#include "counts.h"

/* "Nov 24 10:30:06", as the C library's ctime() has it. */
static struct str
moment(struct arena *mem, time_t when)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL)
		return STR("?");
	return str_printf(mem, "%.3s %2d %02d:%02d:%02d", months + (size_t)tm.tm_mon * 3,
			  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
log_peak(struct log *log, const char *name, int64_t unit_s,
	 const struct counts_peak *peak)
{
	struct arena *mem = arena_new();
	struct str unit = unit_s > 0 ? str_printf(mem, "/%" PRId64 "s", unit_s) : STR("");
	struct str whose = peak->client.len > 0 ? str_printf(mem, " for (" PRI_STR ")",
							     STR_ARG(peak->client))
						: STR("");
	struct str when = moment(mem, peak->when);

	log_info(log, "statistics: max %s %" PRId64 PRI_STR PRI_STR " at " PRI_STR, name,
		 peak->value, STR_ARG(unit), STR_ARG(whose), STR_ARG(when));
	arena_free(&mem);
}
