/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The Landlock half of the sandbox: which files can be reached by name, which TCP ports,
 * and that signals and abstract sockets do not leave the process. Best effort: the
 * kernel's version decides how much of it there is. The numbers are our own, because the
 * headers of Debian 12 are older than the kernels it runs on.
 *
 * UNIX sockets in the file system are not covered by the versions that we know: a
 * confined daemon can still connect to those its user may connect to.
 */

#include <stdbool.h>

#include "base/err.h"

#include "daemon/profile.h"
#include "daemon/sandbox.h"

/* 0: the kernel has none, or it is switched off. */
int landlock_version(void);

enum landlock_result {
	LANDLOCK_FULL,
	LANDLOCK_PARTIAL, /* the kernel knows less than we ask for; *what_out tells */
	LANDLOCK_ABSENT,
	LANDLOCK_FAILED,
};

/* version: of landlock_version(), or less in tests. no_new_privs must be set already.
 * what_out is a constant: what is missing. */
enum landlock_result landlock_enter(const struct profile *p,
				    const struct sandbox_paths *paths, int version,
				    const char **what_out, struct err *err) MUST_CHECK;
