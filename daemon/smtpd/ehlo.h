/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The keywords of the EHLO reply: which are offered and which the configuration takes
 * away (smtpd_discard_ehlo_keywords). Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

/* In the order of the reply. */
enum ehlo_keyword {
	EHLO_PIPELINING = 1u << 0,
	EHLO_SIZE = 1u << 1,
	EHLO_VRFY = 1u << 2,
	EHLO_ETRN = 1u << 3,
	EHLO_STARTTLS = 1u << 4,
	EHLO_AUTH = 1u << 5,
	EHLO_XVERP = 1u << 6,
	EHLO_XCLIENT = 1u << 7,
	EHLO_XFORWARD = 1u << 8,
	EHLO_ENHANCEDSTATUSCODES = 1u << 9,
	EHLO_8BITMIME = 1u << 10,
	EHLO_DSN = 1u << 11,
	EHLO_SMTPUTF8 = 1u << 12,
	EHLO_CHUNKING = 1u << 13,
};

/* "pipelining, dsn" to bits. names_out: the words as the log has them; empty if there are
 * none or silent-discard is among them. */
unsigned ehlo_keywords_parse(struct arena *mem, struct str text, struct str *names_out);

struct ehlo_offer {
	unsigned keywords;
	int64_t size;          /* message_size_limit */
	struct str mechanisms; /* of AUTH */
	bool old_auth;         /* broken_sasl_auth_clients: "AUTH=", too */
};

/* The whole reply, lines separated by CR LF. */
struct str ehlo_format(struct arena *mem, struct str hostname,
		       const struct ehlo_offer *offer);
