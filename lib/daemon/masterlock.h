/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The files that say which master runs: pid/master.pid in queue_directory and master.lock
 * in data_directory. Their lock is what counts, held as long as the master lives; the pid
 * in them (right-aligned in 32 columns) is for people and scripts.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/macros.h"

/* Open and lock; the descriptor stays open with the process. owner: open the file as this
 * user (the directory is theirs), (uid_t)-1 for as we are. */
bool masterlock_take(const char *path, uid_t owner, int *fd_out,
		     struct err *err) MUST_CHECK;

/* Write our pid into the locked file: after a fork() that keeps the lock. */
bool masterlock_write(int fd, const char *path, struct err *err) MUST_CHECK;

enum masterlock_state {
	MASTERLOCK_FREE, /* nobody holds it (or there is no file) */
	MASTERLOCK_HELD, /* a master runs; *pid_out is what the file says, 0 if nothing */
	MASTERLOCK_FAILED, /* cannot tell */
};

enum masterlock_state masterlock_look(const char *path, pid_t *pid_out,
				      struct err *err) MUST_CHECK;
