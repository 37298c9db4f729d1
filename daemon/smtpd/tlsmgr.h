/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What smtpd asks of tlsmgr: the keys of session tickets, which all processes of the
 * service share, and sessions of clients without tickets. Where it cannot be asked
 * handshakes are full ones, and the log says so (once a minute at most).
 */

#include "tls/session.h"

struct session;
struct smtpd;

/* Have keys that may encrypt, if the context wants any. May yield. */
void tlsmgr_refresh_keys(struct smtpd *d);

/* Where the sessions of this server are kept; for the time of a handshake. */
struct tls_store tlsmgr_store(struct session *s);
