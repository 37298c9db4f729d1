/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a daemon may do once it is set up: one row per profile in profiles.def, from which
 * the Landlock rules, the seccomp filter, the limits, the documentation and the probe
 * tests come.
 *
 * no_new_privs and seccomp are mandatory wherever the kernel has them; Landlock is used
 * to the extent the running kernel knows it, and what is missing is logged once ("reduced
 * isolation"). Debug builds with sanitizers get the system calls that those need, nothing
 * else differs.
 */

#include <stdbool.h>

#include "base/err.h"

struct arena;
struct log;

enum sandbox_profile {
#define PROFILE(name, paths, network, calls, summary) SANDBOX_##name,
#include "daemon/profiles.def"
#undef PROFILE
	SANDBOX_PROFILES /* how many */
};

/* Directories that profiles name; the caller says where they are in this instance. NULL
 * where it does not apply. */
struct sandbox_paths {
	const char *queue_directory;
	const char *config_directory;
	const char *data_directory;
	const char *log_directory; /* where maillog_file lies (postlogd) */
	const char *const
		*read_only; /* more files or directories to read (tables), NULL-ended */
};

/* Enter; there is no way back. Failure of a mandatory part is an error. */
bool sandbox_enter(enum sandbox_profile profile, const struct sandbox_paths *paths,
		   struct log *log, struct err *err) __attribute__((warn_unused_result));

/* Test builds only (HIKYAKU_FAULTS): when HIKYAKU_PROBE names a file in the environment,
 * try the actions of probe.def, each in a process of its own inside the sandbox, write
 * "action allowed|denied|untested allowed|denied" lines (seen, expected from the
 * profile's row) there and exit: 0 if they agree. Does nothing otherwise. */
void sandbox_probe(enum sandbox_profile profile, const struct sandbox_paths *paths);
