/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who checks a log-in for the SMTP server: a back end behind one interface. Its types:
 *
 *	dovecot   a Dovecot authentication server (dovecot.c), asked directly
 *	cyrus     libsasl2, in the daemon saslauth (service.c), which may wait
 *	table     passwords in a look-up table, in the same daemon: hashing takes
 *		  time, and secrets stay out of the process that talks to everybody
 *
 * One struct sasl_server per process. A log-in is a struct sasl_exchange; it ends with
 * the arena. Challenges and responses are base64 as in SMTP (RFC 4954), because that is
 * what Dovecot's protocol has too; responses are checked before they are passed on.
 *
 * All functions that say so block the calling fiber, at most SASL_SERVER_MS.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "dns/server_name.h"
#include "sasl/mechanism.h"

struct arena;
struct dns_asker;
struct loop;
struct sasl_exchange;
struct sasl_server;

/* When it answers at the latest; a failed log-in may be answered late on purpose. */
enum { SASL_SERVER_MS = 60000 };

/* What the back ends need from the process. */
struct sasl_server_setup {
	struct loop *loop;
	struct str type;        /* smtpd_sasl_type */
	struct str path;        /* smtpd_sasl_path */
	struct str service;     /* smtpd_sasl_service */
	struct str realm;       /* smtpd_sasl_local_domain */
	struct str config_path; /* cyrus_sasl_config_path */
	struct str maps;        /* smtpd_sasl_password_maps */
	/* Connect to one of our services ("private/saslauth"). */
	bool (*connect)(void *arg, const char *path, int timeout_ms, struct stream **out,
			struct err *err);
	void *connect_arg;
};

/* Lives in mem. ERR_CONFIG: the type or the path is none. Connects to nobody yet. */
bool sasl_server_open(struct arena *mem, const struct sasl_server_setup *setup,
		      struct sasl_server **out, struct err *err) MUST_CHECK;

/* Is it reached by TCP? */
bool sasl_server_needs_tcp(const struct sasl_server *server);

/* Of one SMTP session. */
struct sasl_peer {
	struct str client_address, client_port; /* empty where not known */
	struct str server_address, server_port;
	bool is_tls;
	struct str security; /* options as configured, for libsasl2 */
	struct sasl_security options;
	const struct dns_asker *dns;
};

/* The mechanisms that may be used now, with blanks between; may be empty. Blocks.
 * ERR_TEMP: the back end is not there. */
bool sasl_server_mechanisms(struct sasl_server *server, struct arena *mem,
			    const struct sasl_peer *peer, struct str *names_out,
			    struct err *err) MUST_CHECK;

enum sasl_status {
	SASL_ANSWER_MORE,  /* text: the challenge */
	SASL_ANSWER_DONE,  /* user: who it is */
	SASL_ANSWER_FAIL,  /* text: why; user may be known */
	SASL_ANSWER_LATER, /* the same, but it is not the client's fault */
};

struct sasl_answer {
	enum sasl_status status;
	struct str text;
	struct str user;
};

/* Begin, with the client's initial response (NULL: none; "=" is an empty one). The texts
 * of the answer live in mem, the exchange too. Blocks. Never fails in silence: what is
 * wrong is in the answer. */
void sasl_exchange_begin(struct sasl_server *server, struct arena *mem,
			 const struct sasl_peer *peer, struct str mechanism,
			 const struct str *initial, struct sasl_exchange **out,
			 struct sasl_answer *answer_out);

/* The client's answer to a challenge. Blocks. */
void sasl_exchange_next(struct sasl_exchange *x, struct arena *mem, struct str response,
			struct sasl_answer *answer_out);

/* The client has given up. Ending the arena does it, too. */
void sasl_exchange_cancel(struct sasl_exchange *x);
