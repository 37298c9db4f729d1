/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * AUTH (RFC 4954) as Postfix has it: who is asked is sasl/server.h's matter, what the
 * client is told and what is logged is here.
 *
 * A session is "active" when AUTH can be used in it: smtpd_sasl_auth_enable, TLS where
 * smtpd_tls_auth_only wants it, and the back end has named its mechanisms. As in Postfix
 * a server whose back end is not there takes no mail at all: to offer no AUTH would turn
 * "not now" into "relay access denied".
 */

#include <stdbool.h>

#include "base/err.h"

struct session;
struct smtpd;

/* At start: parameters, back end, lists. */
bool auth_load(struct smtpd *s, struct err *err) MUST_CHECK;

/* At the beginning of a session, and after STARTTLS: who was logged in is so no more.
 * False: no server to ask, logged; the client is to be sent away. */
bool auth_start(struct session *s);

/* Forget the login (XCLIENT). */
void auth_forget(struct session *s);

/* May AUTH be used, and is the client to be told? (smtpd_sasl_exceptions_networks) */
bool auth_is_offered(struct session *s);

bool auth_is_active(const struct session *s);
