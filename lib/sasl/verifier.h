/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The server's side of PLAIN, LOGIN and SCRAM-SHA-256, without sockets and without
 * knowing where passwords are: it asks for what it needs, the caller answers.
 *
 * An unknown user is treated like a known one with another password (the same steps, the
 * same work): who asks for the row gives a false one (secret_decoy()).
 *
 * -PLUS is not offered: the server does not tell us of its TLS channel.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "sasl/secret.h"

struct arena;
struct verifier;

enum verifier_status {
	VERIFIER_MORE,   /* out: the challenge */
	VERIFIER_LOOKUP, /* look user up, then verifier_supply() */
	VERIFIER_CHECK,  /* PLAIN, LOGIN: is this the password? */
	VERIFIER_DONE,
	VERIFIER_FAIL,
};

/* NULL: not one of ours. nonce: NULL, or what tests want. */
struct verifier *verifier_new(struct arena *mem, struct str mechanism, const char *nonce);

/* The client's initial response (NULL: none), and each response after a challenge; raw
 * bytes. */
enum verifier_status verifier_step(struct verifier *v, const struct str *response,
				   struct str *out);

/* Whom it is about, once that is known. */
struct str verifier_user(const struct verifier *v);
/* The password that the client gave (VERIFIER_CHECK). */
struct str verifier_password(const struct verifier *v);

/* After VERIFIER_LOOKUP: the SCRAM keys, perhaps a decoy's. */
enum verifier_status verifier_supply(struct verifier *v, const struct secret *keys,
				     struct str *out);
