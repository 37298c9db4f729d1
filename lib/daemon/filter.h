/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The seccomp half of the sandbox: which system calls there are. A call that no rule
 * names ends the process; calls that libraries try and can do without get an error
 * instead.
 */

#include <stdbool.h>

#include "base/err.h"

#include "daemon/profile.h"

/* Does the running kernel filter system calls? */
bool filter_is_available(void);

/* no_new_privs must be set already. */
bool filter_enter(const struct profile *p, struct err *err) MUST_CHECK;
