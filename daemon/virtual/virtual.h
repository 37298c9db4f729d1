/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * virtual(8): mailboxes of addresses, not of accounts: tables say where they are and
 * whose. A helper process delivers (deliver/helper.h).
 */

#include "config/common_config.h"
#include "config/local_config.h"
#include "config/virtual_config.h"
#include "deliver/helper.h"
#include "rewrite/rules.h"

struct agent_request;
struct daemon;
struct maps;

struct virtual_agent {
	struct daemon *daemon;
	struct common_config common;
	struct local_config local; /* how locks are tried */
	struct virtual_config config;
	struct rewrite_rules rules;
	struct maps *mailboxes, *uids, *gids;
	struct agent_status_filter *status_filter;
	struct helper *helper;
};

/* One request of qmgr. */
void deliver(struct agent_request *r);
