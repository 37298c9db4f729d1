/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests to bounce, defer, trace, verify and flush. Fiber only; each opens a connection
 * of its own.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct message;
struct msg_bounce_append;
struct msg_deliver_result;
struct sched_recipient;

/* service: "bounce", "defer" or "trace". */
bool notify_append(struct message *m, const char *service,
		   const struct sched_recipient *r,
		   const struct msg_deliver_result *result, struct err *err) MUST_CHECK;
/* Tell verify(8) what became of a probe. */
bool notify_verify(struct message *m, const struct sched_recipient *r,
		   const struct msg_deliver_result *result, struct err *err) MUST_CHECK;
/* Report to the sender what the service's log has, and end the log. */
bool notify_flush(struct message *m, const char *service, struct err *err) MUST_CHECK;
/* Tell flush(8) that the message waits for the recipient's domain, if that is one of
 * fast_flush_domains. A failure is logged, but not for every recipient. */
void notify_flush_site(struct message *m, struct str recipient);
/* Tell the sender of the delay. */
bool notify_warn(struct message *m, int64_t expires_us, struct err *err) MUST_CHECK;
