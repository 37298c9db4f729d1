/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The part that asks name servers: libunbound behind a function that blocks a fiber.
 *
 * All questions go to the configured servers (never to the root servers): they know
 * names of the local network, and many networks let nothing else out.
 *
 * DNSSEC. With a trust anchor there are two contexts of the library. The plain one
 * believes the servers, as the C library does. The validating one is tried with a
 * question about the root zone; only when that succeeds, so the servers pass DNSSEC on,
 * does it get the questions. Then an answer whose signatures are wrong is DNS_TRY_AGAIN,
 * and `authenticated` is true for those that were proved. With servers that know no
 * DNSSEC nothing is ever refused for lack of it.
 *
 * When the servers change new contexts are made; questions under way end in the old ones.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "dns/dns.h"
#include "dns/servers.h"

struct arena;
struct engine;
struct log;
struct loop;

struct engine_settings {
	const char *trust_anchor_file; /* NULL or unreadable: no validation */
	int64_t cache_bytes;
	int64_t timeout_ms;   /* for a question, waiting for its turn included */
	size_t max_questions; /* at once; more wait */
};

struct engine *engine_new(struct loop *loop, struct log *log,
			  const struct engine_settings *settings,
			  const struct servers *servers);

/* No question may be under way. */
void engine_free(struct engine **engine);

/* Other servers from now on. */
void engine_set_servers(struct engine *engine, const struct servers *servers);

/* Blocks the fiber until there is an answer or the time is over. */
void engine_ask(struct engine *engine, struct arena *mem, struct str name,
		enum dns_type type, struct dns_answer *answer_out);

/* Ends the engine's own fibers, so that the loop can end. */
void engine_drain(struct engine *engine);
