/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * smtpd_proxy_filter: a filter before the queue. The session gives what the client says,
 * once our own rules have accepted it, to an SMTP server that takes the place of cleanup;
 * its answers are the client's. Who the client is it hears by XFORWARD, if it offers
 * that.
 *
 * A filter that cannot be reached, does not keep to the protocol or disappears becomes
 * "451 4.3.0 Error: queue file write error", with a warning in the log: the client tries
 * again. Limits: smtpd_proxy_timeout for each wait, and those of smtp/reply.h.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct proxy;
struct session;
struct smtpd;

enum proxy_wants { PROXY_ANY = 0, PROXY_OK = 2, PROXY_MORE = 3 };

/* Read the parameters; sets needs_tcp. */
bool proxy_settings(struct smtpd *s, struct err *err) MUST_CHECK;

/* Connect and repeat MAIL. False: *reply_out (in s->now) says why. The proxy is the
 * transaction's and ends with it. */
bool proxy_open(struct session *s, struct str *reply_out);

/* One command, and the filter's answer, which is *reply_out. True: it is what is wanted.
 */
bool proxy_command(struct session *s, enum proxy_wants wants, struct str command,
		   struct str *reply_out);

/* A line of content, or with !ends a part of one. */
void proxy_text(struct session *s, struct str text, bool ends);

/* The end of the content: the filter's verdict. */
bool proxy_commit(struct session *s, struct str *reply_out);

/* QUIT, if the dialogue is where that is possible. */
void proxy_end(struct proxy **p);
