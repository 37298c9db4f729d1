/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Handing a request on: another delivery agent gets the recipients that have no answer
 * yet, and its answers become ours. It writes the log lines. (best_mx_transport.)
 */

#include "base/str.h"

struct agent_request;

/* to: "transport" or "transport:nexthop"; without next hop the request's own. Recipients
 * that get no answer there are deferred here, with the reason. */
void agent_pass(struct agent_request *r, struct str to);
