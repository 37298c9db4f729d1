/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the client's engine share: one command, one reply, and what is said
 * of those that fail. `step` is what we were doing, for the reason's text.
 */

#include <stdint.h>

#include "base/macros.h"
#include "base/str.h"

#include "fiber/stream.h"
#include "smtp/client.h"

struct smtp_reply;

/* The connection is gone, or too slow. */
enum smtp_session_result client_lost(struct smtp_client *c, enum stream_status status,
				     const char *step, struct dsn *dsn);

/* What a server said, as a result. */
struct dsn client_said(struct smtp_client *c, const struct smtp_reply *r,
		       const char *in_reply_to);
struct dsn client_refused(struct smtp_client *c, const struct smtp_reply *r);

/* For what comes next: per operation, or all in all. */
void client_limit_time(struct smtp_client *c, int64_t timeout_ms);

enum smtp_session_result client_read_reply(struct smtp_client *c, int64_t timeout_ms,
					   const char *step, struct smtp_reply *r,
					   struct dsn *dsn) MUST_CHECK;
enum smtp_session_result client_send_command(struct smtp_client *c, int64_t timeout_ms,
					     const char *step, struct str command,
					     struct dsn *dsn) MUST_CHECK;
