/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names and properties of SASL mechanisms (RFC 4422), and the security options of
 * Postfix's configuration (noplaintext, noanonymous ...) that choose among them. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

/* Why an administrator may not want a mechanism, or want it. */
enum sasl_property {
	SASL_PLAINTEXT = 1u << 0,     /* the password itself is sent */
	SASL_ACTIVE_ATTACK = 1u << 1, /* no guard against an active attacker */
	SASL_DICTIONARY = 1u << 2,    /* who listens can try passwords */
	SASL_ANONYMOUS = 1u << 3,
	SASL_MUTUAL_AUTH = 1u << 4, /* the server proves itself, too */
	SASL_FORWARD_SECRECY = 1u << 5,
	SASL_BEARER = 1u << 6, /* a token is sent; only for who has one */
};

/* RFC 4422 section 3.1, and what names there are in use. */
enum { SASL_NAME_MAX = 32, SASL_MECHANISMS_MAX = 64 };

/* What security options ask for: none of these properties, all of those. */
struct sasl_security {
	unsigned forbidden;
	unsigned required;
};

/* "noplaintext, noanonymous" (noactive nodictionary forward_secrecy mutual_auth). False
 * (ERR_CONFIG) names the word that is none. */
bool sasl_security_parse(struct str text, struct sasl_security *out,
			 struct err *err) MUST_CHECK;

bool sasl_security_allows(const struct sasl_security *security, unsigned properties);

/* A to Z, 0 to 9, "-" and "_"; at least one, at most SASL_NAME_MAX. */
bool sasl_name_is_valid(struct str name);

/* Properties of a mechanism that is in mechanism.def; false for others. */
bool sasl_mechanism_find(struct str name, unsigned *properties_out);
