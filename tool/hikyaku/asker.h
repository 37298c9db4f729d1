/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DNS answers for the commands that explain and check: from the running system's
 * resolver.
 */

#include <stdbool.h>

#include "base/str.h"

#include "dns/dns.h"
#include "fiber/stream.h"
#include "ipc/message.h"

struct loop;

struct asker {
	struct dns_asker dns; /* to give to lookup_hosts() */
	struct loop *loop;
	struct str socket; /* path of private/resolver */
	struct stream *stream;
	struct ipc ipc;
	bool offline;     /* do not even try */
	bool unavailable; /* nobody answered */
};

void asker_init(struct asker *a, struct loop *loop, struct str queue_directory,
		bool offline);
void asker_close(struct asker *a);
