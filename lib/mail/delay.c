/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/delay.h"

#include <inttypes.h>

#include "base/arena.h"

struct str
delay_format(struct arena *mem, int64_t usec, unsigned max_decimals)
{
	int64_t unit = 1000000; /* microseconds that the last digit stands for */
	unsigned decimals = 0;
	int64_t value;
	struct str text;

	if (usec < 0)
		usec = 0;
	/* Two significant digits: go finer while fewer are seen and it is allowed. */
	while (decimals < max_decimals && decimals < 6 && usec < 10 * unit) {
		unit /= 10;
		decimals++;
	}
	value = (usec + unit / 2) / unit;
	if (decimals == 0)
		return str_printf(mem, "%" PRId64, value);
	text = str_printf(mem, "%" PRId64 ".%0*" PRId64, value / (1000000 / unit),
			  (int)decimals, value % (1000000 / unit));
	while (text.p[text.len - 1] == '0')
		text.len--;
	if (text.p[text.len - 1] == '.')
		text.len--;
	return str_dup(mem, text);
}
