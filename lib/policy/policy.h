/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policy delegation: check_policy_service asks a server of the administrator what to do
 * with a request (Postfix's SMTPD_POLICY_README). A question is lines "name=value" and an
 * empty line; so is the answer, whose "action" is what an access(5) table could say.
 *
 * Three parts: a service as main.cf names it (struct policy_service, never changed), the
 * texts of question and answer (pure), and a pool of connections that the sessions of a
 * process share. A connection serves one question at a time, so there are as many as
 * sessions that ask at the same moment; POLICY_IDLE_MAX of each service are kept.
 *
 * The server's answer is outside data: at most POLICY_LINE_MAX bytes in a line,
 * POLICY_LINES_MAX lines, within the service's timeout.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "config/policy_config.h"
#include "dns/server_name.h"

struct arena;
struct buf;
struct dns_asker;
struct loop;

enum {
	POLICY_LINE_MAX = 2048,
	POLICY_LINES_MAX = 100,
	POLICY_REPLY_MAX = 16384,
	POLICY_IDLE_MAX = 32,
};

/* ---- services ---- */

struct policy_service {
	struct str name; /* "host:port" or "path" as written: for the log */
	struct server_name server;
	int64_t timeout_s;     /* for connecting, and again for question and answer */
	int64_t max_idle_s;    /* a connection is closed when not used for so long, ... */
	int64_t max_ttl_s;     /* ... or this long after it was made, ... */
	int64_t request_limit; /* ... or after so many questions; 0: no limit */
	int64_t retry_delay_s; /* between two attempts */
	int64_t try_limit;     /* attempts to get an answer */
	struct str default_action; /* without an answer */
	struct str context;        /* policy_context */
};

/* "inet:host:port", "unix:path" or "{ name, option=value ... }"; options are those of
 * smtpd_policy_service_* without the prefix, which give the defaults. Texts live in mem.
 * ERR_CONFIG. */
bool policy_service_parse(struct arena *mem, struct str text,
			  const struct policy_config *defaults,
			  struct policy_service *out, struct err *err) MUST_CHECK;

/* ---- texts ---- */

struct policy_attribute {
	const char *name;
	struct str value;
};

/* Append the question. Bytes that would end a line or a string become '?'. */
void policy_request_format(struct buf *out, const struct policy_attribute *attributes,
			   size_t n);

enum policy_parse {
	POLICY_PARSE_DONE,
	POLICY_PARSE_MORE, /* incomplete so far */
	POLICY_PARSE_BAD,  /* *why_out says why */
};

/* The answer at the beginning of text: views into it, and how many bytes it has. Unknown
 * attributes are skipped; of two actions the first one counts. */
enum policy_parse policy_reply_parse(struct str text, struct str *action_out,
				     size_t *length_out, const char **why_out);

/* ---- asking ---- */

/* Connections that are open between questions. Ends with mem. */
struct policy_pool *policy_pool_new(struct arena *mem, struct loop *loop);

/* Ask from a fiber: blocks; attempts and pauses are the service's. The action lives in
 * mem. False: there is no answer; every failed attempt that is to be logged was told to
 * warn ("connect to NAME: why", "problem talking to server NAME: why"). */
bool policy_ask(struct policy_pool *pool, struct arena *mem, const struct dns_asker *dns,
		const struct policy_service *service, struct str request,
		void (*warn)(void *arg, struct str text), void *arg,
		struct str *action_out) MUST_CHECK;

/* Keep no connection from now on and close those that are idle: the process is about to
 * end (an open one keeps a timer, and so the loop). */
void policy_pool_close(struct policy_pool *pool);
