/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One file of maildrop/ after the other, into cleanup (facts: queue 3.2). A file that is
 * damaged is deleted, with a warning in the log: its author was told by postdrop that it
 * was accepted only if it was whole, so this is somebody who writes into maildrop by
 * other means. A file that cleanup cannot take now stays for the next scan.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"

#include "config/common_config.h"
#include "fiber/event.h"
#include "queue/dir.h"

struct daemon;
struct fiber;

struct pickup {
	struct daemon *daemon;
	struct common_config common;
	struct str content_filter;
	unsigned overrides; /* receive_override_options */
	struct queue_dirs dirs;
	struct event work;
	struct fiber *worker;
	uid_t owner; /* mail_owner: whose files were put back by postsuper */
	int root;
	bool wanted; /* look again */
};

/* Scan until a whole pass finds nothing that can be done. Fiber only. */
void pickup_scan(struct pickup *p);
