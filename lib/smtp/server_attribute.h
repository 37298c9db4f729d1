/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The arguments of XCLIENT and XFORWARD (facts: protocols 9), extensions by which a
 * trusted client says who its own client is. Pure. Values are xtext (RFC 3461 section 4),
 * and taken as they are when they are not; at most 255 bytes.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct smtp_words;

enum smtp_attribute {
	SMTP_ATTRIBUTE_NAME,
	SMTP_ATTRIBUTE_REVERSE_NAME,
	SMTP_ATTRIBUTE_ADDR,
	SMTP_ATTRIBUTE_PORT,
	SMTP_ATTRIBUTE_PROTO,
	SMTP_ATTRIBUTE_HELO,
	SMTP_ATTRIBUTE_LOGIN,
	SMTP_ATTRIBUTE_DESTADDR,
	SMTP_ATTRIBUTE_DESTPORT,
	SMTP_ATTRIBUTE_IDENT,
	SMTP_ATTRIBUTE_SOURCE,
	SMTP_ATTRIBUTES
};

enum smtp_known {
	SMTP_NOT_SAID,
	SMTP_SAID,
	SMTP_UNAVAILABLE, /* [UNAVAILABLE] */
	SMTP_TEMPUNAVAIL, /* [TEMPUNAVAIL]: names only */
};

struct smtp_attributes {
	enum smtp_known known[SMTP_ATTRIBUTES];
	struct str value[SMTP_ATTRIBUTES]; /* of SMTP_SAID */
};

/* What each command takes, as in its EHLO line. */
extern const char smtp_xclient_names[];
extern const char smtp_xforward_names[];

/* is_xclient: else XFORWARD. ipv4, ipv6: inet_protocols. False: *reply_out. */
bool smtp_attributes_parse(struct arena *mem, const struct smtp_words *words,
			   bool is_xclient, bool ipv4, bool ipv6,
			   struct smtp_attributes *out, struct str *reply_out);
