/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line that the master gives a daemon. Pure.
 *
 *	-n name		service name in master.cf
 *	-t type		inet, unix, unix-dgram, pass, fifo
 *	-u		run as mail_owner
 *	-s count	listening sockets from descriptor 4 on (default 1)
 *	-m count	sessions at a time, 0 = no limit (Postfix: requests until exit)
 *	-o name=value	in place of main.cf's
 *	-v		log more (may be repeated); -V: log to standard error
 *	-N		take the place of a process that runs (daemon_ask_successor())
 *	-S		one session on the socket at descriptor 0
 *	-c -d -D -l -r -z -i secs	Postfix's; accepted and without effect
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

struct arena;

enum { OPTIONS_SOCKETS_MAX = 200 };

struct daemon_options {
	const char *service; /* NULL: not given */
	const char *type;
	bool unprivileged;
	bool stderr_log;
	bool stand_alone;
	bool successor;
	unsigned verbose;
	int sockets;
	int max_sessions;
	struct config_override *overrides;
	size_t override_count;
	const char *const *args; /* what is left, ended by NULL */
};

bool daemon_options_parse(struct arena *mem, int argc, char **argv,
			  struct daemon_options *out, struct err *err) MUST_CHECK;
