/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Limits per client: smtpd_client_*_limit. anvil counts for all processes of smtpd; each
 * keeps one connection to it, over which sessions ask one after the other. Nothing is
 * asked where there is no limit, nor for clients that smtpd_client_event_limit_exceptions
 * names or that may use XCLIENT.
 *
 * While anvil cannot be asked, there are no limits: the log says so, and the next attempt
 * comes after LIMITS_PAUSE_MS.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#include "fiber/event.h"
#include "ipc/message.h"

struct match;
struct session;
struct smtpd;
struct stream;

enum { LIMITS_ASK_MS = 5000, LIMITS_PAUSE_MS = 30000 };

struct limits {
	struct match *exceptions;
	bool any; /* there is a limit */
	struct gate gate;
	struct stream *stream; /* NULL: not connected */
	struct ipc ipc;
	unsigned generation; /* of the connection: what was told over another is forgotten
			      */
	int64_t pause_until_ms;
	unsigned n_sessions; /* since the start */
};

bool limits_settings(struct smtpd *smtpd, struct err *err) MUST_CHECK;
void limits_start(struct smtpd *smtpd);
/* No session is left. */
void limits_release(struct smtpd *smtpd);

/* Who is it? Before all others. */
void limits_begin(struct session *s);

/* A new session. False: one too many; it has been told and logged, and is to end. */
bool limits_connect(struct session *s);
void limits_disconnect(struct session *s);

/* MAIL, RCPT, AUTH. False: too many; the reply is said, and logged. */
bool limits_mail(struct session *s);
bool limits_recipient(struct session *s);
bool limits_auth(struct session *s);
/* A handshake has made a new TLS session. False: too many; the caller says so. */
bool limits_new_tls(struct session *s);
