/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * pipe(8): messages to the standard input of a command that master.cf names. As in
 * local(8), a helper process has the rights, and the one that reads messages has none
 * (deliver/helper.h).
 */

#include "base/str.h"

#include "config/common_config.h"
#include "deliver/helper.h"

#include "attributes.h"

struct agent_request;
struct daemon;

struct pipe_agent {
	struct daemon *daemon;
	struct common_config common;
	struct pipe_attributes attributes;
	struct agent_status_filter *status_filter;
	struct job_owner owner;
	struct str environment; /* export_environment, as a list with NULs */
	bool owner_request_special;
	int64_t time_limit_s;
	struct helper *helper;
};

/* One request of qmgr: one run of the command for all its recipients. */
void deliver(struct agent_request *r);
