/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who a process is, and its limits. As an ordinary user nothing can be dropped, and
 * nothing is: the system then runs as that user.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The account of parameter mail_owner. */
bool privilege_find_user(const char *name, uid_t *uid_out, gid_t *gid_out,
			 struct err *err) MUST_CHECK;
bool privilege_find_group(const char *name, gid_t *gid_out, struct err *err) MUST_CHECK;

/* As root: become this user for good, with its groups. Otherwise nothing. */
bool privilege_drop(const char *user, struct err *err) MUST_CHECK;

/* As many descriptors as we may have, no core dumps (they would hold mail). */
void privilege_limits(void);
