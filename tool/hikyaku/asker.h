/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * DNS answers for explain: from the running system's resolver, whose cache and whose view
 * are those of the deliveries; when it does not run, from the name servers themselves
 * (stub.h).
 */

#include <stdbool.h>

#include "base/str.h"

#include "dns/dns.h"
#include "fiber/stream.h"
#include "ipc/message.h"

#include "stub.h"

struct loop;

struct asker {
	struct dns_asker dns; /* to give to lookup_hosts() */
	struct loop *loop;
	struct str socket; /* path of private/resolver */
	struct stream *stream;
	struct ipc ipc;
	struct stub stub;
	bool no_resolver; /* it was not there: the stub is asked */
};

void asker_init(struct asker *a, struct loop *loop, struct str queue_directory,
		const struct servers *servers);
void asker_close(struct asker *a);
