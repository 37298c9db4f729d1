/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Returning a message that cleanup does not take, when nobody is there to be told: mail
 * that was submitted on this machine.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct message;

/* The status says why. When the report cannot be made the status becomes CLEANUP_DEFER,
 * so that the client keeps the message; otherwise it becomes CLEANUP_OK: the message is
 * dealt with. */
void bounce_message(struct message *m);

/* Tell the trace service that an alias took the place of this recipient. */
bool bounce_expanded(struct message *m, struct str address, struct err *err) MUST_CHECK;
