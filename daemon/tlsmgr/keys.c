/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <string.h>
#include <sys/random.h>

#include "base/macros.h"

bool
keys_refresh(struct keys *k, int64_t now_s, int64_t seconds, struct err *err)
{
	struct key fresh;

	/* A clock that was put back must not keep a key alive. */
	if (now_s < k->now.encrypts_until &&
	    k->now.encrypts_until - now_s <= KEY_SECONDS_MAX) {
		if (now_s >= k->before.decrypts_until)
			explicit_bzero(&k->before, sizeof(k->before));
		return true;
	}
	seconds = MIN_OF(MAX_OF(seconds, (int64_t)1), (int64_t)KEY_SECONDS_MAX);
	if (getrandom(fresh.secret, sizeof(fresh.secret), 0) !=
	    (ssize_t)sizeof(fresh.secret))
		return err_errno(err, ERR_TEMP, "getrandom");
	fresh.encrypts_until = now_s + seconds;
	fresh.decrypts_until = now_s + 2 * seconds;
	k->before = k->now;
	if (now_s >= k->before.decrypts_until)
		explicit_bzero(&k->before, sizeof(k->before));
	k->now = fresh;
	explicit_bzero(&fresh, sizeof(fresh));
	return true;
}
