/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a daemon asks tables that need a server: through the service proxymap, so that only
 * the fiber waits and the sandbox stays closed. daemon_main() installs it; see
 * table/host.h. Connections are kept, a few of them; each carries one question at a time.
 *
 * An answer that does not come is a failure of the look-up, never "absent": no proxymap,
 * a connection that breaks three times, no answer within ASKER_ANSWER_MS.
 */

#include "base/err.h"

struct arena;
struct config;
struct daemon;
struct table_asker;

enum { ASKER_ANSWER_MS = 250000 };

/* For all tables that are opened in d->mem from now on. */
bool asker_install(struct daemon *d, struct table_asker **out,
		   struct err *err) MUST_CHECK;

/* For tables opened in mem with another configuration. Without an asker (NULL) tables are
 * asked in place, which blocks. */
void asker_use(struct table_asker *asker, struct arena *mem, const struct config *config);

/* Close the connections that nobody uses. NULL is allowed. */
void asker_release(struct table_asker *asker);
