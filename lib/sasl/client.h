/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The client's side of SASL, for a relay host that wants a log-in: which mechanism, and
 * what to say. A state machine without sockets; challenges and responses are raw bytes,
 * base64 is the caller's.
 *
 *	sasl_client_choose() over the server's list, then sasl_client_new(),
 *	sasl_client_first() for the initial response, sasl_client_step() per challenge;
 *	and when the server says it is done, sasl_client_is_satisfied(): a server that
 *	must prove itself (SCRAM) and has not is not to be trusted.
 *
 * PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-1, SCRAM-SHA-256 and their
 * -PLUS (RFC 5802, 7677), EXTERNAL, XOAUTH2, OAUTHBEARER (RFC 7628).
 *
 * Limits: SASL_TEXT_MAX bytes of a message, SASL_ITERATIONS_MAX rounds of hashing that a
 * server may ask for (they cost us processor time).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "sasl/mechanism.h"

struct arena;
struct sasl_client;

enum { SASL_TEXT_MAX = 12288, SASL_ITERATIONS_MAX = 1000000 };

struct sasl_credentials {
	struct str authzid;   /* whom to act for; empty: user */
	struct str user;      /* may be empty for EXTERNAL */
	struct str password;  /* for OAuth mechanisms: the access token */
	bool is_token;        /* password is one: only XOAUTH2 and OAUTHBEARER will do */
	bool has_certificate; /* TLS shows one: EXTERNAL will do */
	struct str host;      /* the server's name, for OAUTHBEARER */
	unsigned port;
	/* "tls-exporter" or "tls-server-end-point" and its bytes (RFC 5929, 9266); empty:
	 * there is none, so no -PLUS. */
	struct str binding_type, binding_data;
	bool tls_has_binding; /* and we could use it, had the server offered -PLUS */
};

/* The best mechanism of offered (names between blanks) that security and credentials
 * allow and `filter` (NULL: all) says true for. False: there is none. The name is one of
 * mechanism.def's and lives for ever. */
bool sasl_client_choose(struct str offered, const struct sasl_security *security,
			const struct sasl_credentials *credentials,
			bool (*filter)(void *arg, struct str name), void *filter_arg,
			const char **mechanism_out);

/* mechanism: of sasl_client_choose(). Lives in mem; texts of credentials are kept by
 * reference. False (ERR_TEMP): no randomness. nonce: NULL, or what tests want. */
bool sasl_client_new(struct arena *mem, const char *mechanism,
		     const struct sasl_credentials *credentials, const char *nonce,
		     struct sasl_client **out, struct err *err) MUST_CHECK;

/* The response that may go with the command; false: the mechanism has none (the server
 * speaks first). An empty response is one ("="). */
bool sasl_client_first(struct sasl_client *c, struct arena *mem,
		       struct str *response_out);

/* The answer to a challenge. False (ERR_PERM): the challenge is wrong, or the server does
 * not know the password: abort the exchange with "*". */
bool sasl_client_step(struct sasl_client *c, struct arena *mem, struct str challenge,
		      struct str *response_out, struct err *err) MUST_CHECK;

/* What a server has said about its refusal (OAuth's JSON), or empty. */
struct str sasl_client_reason(const struct sasl_client *c);

/* May success be believed? */
bool sasl_client_is_satisfied(const struct sasl_client *c);
