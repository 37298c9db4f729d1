/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <sys/prctl.h>

#include "base/log.h"

#include "daemon/filter.h"
#include "daemon/landlock.h"
#include "daemon/profile.h"

/* No memory dump and no ptrace by processes of the same user; but the leak checker of a
 * test build looks at its own process in that way. */
static void
hide_memory(void)
{
#if defined(__SANITIZE_ADDRESS__)
	IGNORE(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0);
#else
	IGNORE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0);
#endif
}

static void
log_reduced(struct log *log, const char *what)
{
	if (log != NULL)
		log_info(log, "reduced isolation: this kernel has no %s", what);
}

bool
sandbox_enter(enum sandbox_profile profile, const struct sandbox_paths *paths,
	      struct log *log, struct err *err)
{
	const struct profile *p = profile_get(profile);
	const char *missing = NULL;

	if (!profile_confines(p))
		return true;
	hide_memory();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_errno(err, ERR_TEMP, "sandbox: no_new_privs");
	switch (landlock_enter(p, paths, landlock_version(), &missing, err)) {
	case LANDLOCK_FULL:
		break;
	case LANDLOCK_PARTIAL:
	case LANDLOCK_ABSENT:
		log_reduced(log, missing);
		break;
	case LANDLOCK_FAILED:
		return false;
	}
	if (!filter_is_available()) {
		log_reduced(log, "system call filter");
		return true;
	}
	return filter_enter(p, err);
}
