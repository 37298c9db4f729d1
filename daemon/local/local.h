/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * local(8): from a recipient of ours to mailboxes, commands, files and further
 * recipients. See deliver/helper.h for who acts as whom.
 */

#include "base/str.h"

#include "config/access_config.h"
#include "config/cleanup_config.h"
#include "config/common_config.h"
#include "config/local_config.h"
#include "deliver/helper.h"
#include "rewrite/rules.h"

struct agent_recipient;
struct agent_request;
struct daemon;
struct dsn;
struct maps;

struct local {
	struct daemon *daemon;
	struct common_config common;
	struct local_config config;
	struct cleanup_config cleanup; /* duplicate_filter_limit */
	struct rewrite_rules rules;
	struct agent_status_filter *status_filter;
	struct maps *aliases;
	struct maps *transports;          /* mailbox_transport_maps */
	struct maps *fallback_transports; /* fallback_transport_maps */
	struct maps *commands;            /* mailbox_command_maps */
	struct str environment;           /* export_environment, as a list with NULs */
	struct helper *helper;
};

/* One request of qmgr. */
void deliver(struct agent_request *r);

struct forward_mail {
	struct str sender;
	struct str delivered; /* Delivered-To:, empty: none */
	const struct str *recipients;
	size_t n;
	bool is_list; /* its owner hears of it, and the sender's wishes end here */
};

/* Hand the message to cleanup for other recipients in place of rcpt. False: not done. */
bool forward(struct local *l, struct agent_request *r, const struct agent_recipient *rcpt,
	     const struct forward_mail *mail, struct str *queue_id_out,
	     struct err *err) MUST_CHECK;
