/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The Received: field that this server puts before a message (RFC 5321 section 4.4), in
 * the lines of Postfix (facts: protocols 11). Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

struct received {
	struct str helo;    /* empty: none was given */
	struct str name;    /* of the client, or "unknown" */
	struct str address; /* as text */
	struct str myhostname;
	struct str mail_name;
	struct str protocol; /* "SMTP" or "ESMTP" */
	bool smtputf8;
	bool authenticated;
	struct str login;     /* smtpd_sasl_authenticated_header; empty: not to be told */
	bool hide_client;     /* smtpd_hide_client_session: two lines */
	struct str id;        /* empty: there is no queue file here */
	struct str recipient; /* the only one, in internal form; empty: there are more */
	struct str date;
};

enum { RECEIVED_LINES = 4 };

/* How many lines it has. */
size_t received_format(struct arena *mem, const struct received *r,
		       struct str lines_out[RECEIVED_LINES]);
