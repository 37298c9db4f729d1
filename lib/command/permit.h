/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * May this user? Access lists of user names (authorized_submit_users and the like), and
 * the senders that a user may claim (local_login_sender_maps).
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct command;

enum permit { PERMIT_YES, PERMIT_NO, PERMIT_FAILED };

/* parameter: a list of names, tables, !exceptions. The user is looked for by login name,
 * a uid without one as "unknown". */
enum permit permit_user(struct command *c, const char *parameter, unsigned uid,
			struct err *err) MUST_CHECK;

/* Is the sender among those that the tables of local_login_sender_maps give for the user?
 * A value lists senders, "*" is any, "@domain" any of the domain; the null sender is
 * looked for as empty_address_local_login_sender_maps_lookup_key. */
enum permit permit_sender(struct command *c, unsigned uid, struct str sender,
			  struct err *err) MUST_CHECK;
