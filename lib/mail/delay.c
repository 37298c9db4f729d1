/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/delay.h"

#include "base/arena.h"
#include "base/panic.h"

enum { USEC_DIGITS = 6 };

static int64_t
power_of_ten(unsigned n)
{
	int64_t power = 1;

	while (n-- > 0)
		power *= 10;
	return power;
}

/* Decimals that make two significant digits. */
static unsigned
decimals_wanted(int64_t usec)
{
	unsigned decimals = 0;

	for (int64_t limit = power_of_ten(USEC_DIGITS + 1); usec < limit && limit > 1;
	     limit /= 10)
		decimals++;
	return MIN_OF(decimals, (unsigned)USEC_DIGITS);
}

struct str
delay_format(struct arena *mem, int64_t usec, unsigned max_decimals)
{
	unsigned decimals;
	int64_t step;
	int64_t units;

	ensure(max_decimals <= USEC_DIGITS);
	if (usec < 0)
		usec = 0;
	decimals = MIN_OF(decimals_wanted(usec), max_decimals);
	step = power_of_ten(USEC_DIGITS - decimals);
	units = usec / step + (usec % step >= (step + 1) / 2 && step > 1);
	while (decimals > 0 && units % 10 == 0) {
		units /= 10;
		decimals--;
	}
	if (decimals == 0)
		return str_printf(mem, "%lld", (long long)units);
	step = power_of_ten(decimals);
	return str_printf(mem, "%lld.%0*lld", (long long)(units / step), (int)decimals,
			  (long long)(units % step));
}
