/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Logging in to servers: smtp_sasl_password_maps and what of it may be sent how
 * (postconf(5): smtp_sasl_...). The mechanisms are lib/sasl's.
 *
 * Whether there is a password for a server is asked when the connection is opened; a
 * table that fails defers the mail, because without a log-in it might be refused for
 * good.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "smtp/client.h"

struct arena;
struct lookup_host;
struct smtp;

/* For one connection; lives in its memory. */
struct login {
	struct smtp *s;
	struct smtp_login engine;
	struct sasl_client *client;
	struct str user, password;
	struct str host;
	unsigned port;
};

/* Makes s->login. Fails where Postfix's smtp would not start. */
bool login_load(struct smtp *s, struct err *err) MUST_CHECK;

enum login_found {
	LOGIN_FOUND,
	LOGIN_NONE,   /* no password for it, or smtp_sasl_auth_enable is off */
	LOGIN_UNKNOWN /* a table failed, which is logged */
};

/* Which user and password, in this order: the sender's (with
 * smtp_sender_dependent_authentication), the host's, the next hop's as written. */
enum login_found login_find(struct smtp *s, struct arena *mem, struct str sender,
			    const struct lookup_host *host, struct str destination,
			    struct login *out);

/* What tells one user's connections from another's: part of a connection cache's key. */
struct str login_key(const struct smtp *s, struct str sender);

bool login_is_outdated(const struct smtp *s);
