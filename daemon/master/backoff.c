/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

enum { FIRST_MS = 1000, DOUBLINGS_MAX = 20 };

int64_t
backoff_next(struct backoff *b, int64_t lived_ms, int64_t limit_ms)
{
	int64_t ms = 0;

	if (lived_ms > limit_ms)
		b->failures = 0;
	if (b->failures > 0)
		ms = (int64_t)FIRST_MS << (b->failures - 1);
	if (b->failures < DOUBLINGS_MAX)
		b->failures++;
	return ms < limit_ms ? ms : limit_ms;
}
