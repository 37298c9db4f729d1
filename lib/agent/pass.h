/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Handing a request on: another delivery agent gets the recipients that have no answer
 * yet, and its answers become ours. It writes the log lines. (best_mx_transport.)
 */

#include "base/str.h"

struct agent_recipient;
struct agent_request;
struct dsn;

/* to: "transport" or "transport:nexthop"; without next hop the request's own. Recipients
 * that get no answer there are deferred here, with the reason. */
void agent_pass(struct agent_request *r, struct str to);

/* The same for one recipient, as its msg says now. collect: NULL, or where the result
 * goes instead of to qmgr, for one who has more to say about this recipient; its class is
 * the outcome. */
void agent_pass_one(struct agent_request *r, struct agent_recipient *rcpt, struct str to,
		    struct dsn *collect);
