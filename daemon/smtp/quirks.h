/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is done differently for one server: EHLO keywords that are not used, ways around a
 * firewall before it. Both have a parameter for all servers and tables by address:
 *
 *	smtp_discard_ehlo_keywords	smtp_discard_ehlo_keyword_address_maps
 *	smtp_pix_workarounds		smtp_pix_workaround_maps
 *
 * And smtp_reply_filter, for the replies of all of them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "smtp/reply.h"

struct agent_request;
struct arena;
struct lookup_host;
struct smtp;
struct smtp_client_options;

/* Open the tables, before the sandbox. */
bool quirks_load(struct smtp *s, struct err *err) MUST_CHECK;

/* What a reply filter is given: whose reply it is. Lives as long as the connection. */
struct quirks_filter {
	struct smtp_reply_filter filter; /* first: .arg is this struct */
	struct smtp *smtp;
	struct str relay;
};

/* Set the options' filter if there is a smtp_reply_filter. */
void quirks_filter_replies(struct smtp *s, struct quirks_filter *f, struct str relay,
			   struct smtp_client_options *options);

/* Fill in what the options for this server have of it. discarded_out: keywords for the
 * log, empty: none. False (a line is logged): a table did not answer. */
bool quirks_apply(struct smtp *s, const struct agent_request *r,
		  const struct lookup_host *host, struct arena *mem,
		  struct smtp_client_options *options,
		  struct str *discarded_out) MUST_CHECK;
