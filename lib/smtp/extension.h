/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a server may offer, and what the configuration says not to use of it:
 * smtp_discard_ehlo_keywords, smtp_pix_workarounds. Pure.
 */

#include "base/str.h"

struct arena;

enum smtp_feature {
	SMTP_FEATURE_ESMTP = 1u << 0,
	SMTP_FEATURE_PIPELINING = 1u << 1,
	SMTP_FEATURE_SIZE = 1u << 2,
	SMTP_FEATURE_8BITMIME = 1u << 3,
	SMTP_FEATURE_DSN = 1u << 4,
	SMTP_FEATURE_ENHANCED = 1u << 5,
	SMTP_FEATURE_SMTPUTF8 = 1u << 6,
	SMTP_FEATURE_STARTTLS = 1u << 7,
	SMTP_FEATURE_AUTH = 1u << 8,
	SMTP_FEATURE_XFORWARD = 1u << 9,
	SMTP_FEATURE_CHUNKING = 1u << 10,
	SMTP_FEATURE_REQUIRETLS = 1u << 11,
};

/* Ways around a firewall that hides the server's words (smtp_pix_workarounds). */
enum smtp_pix {
	SMTP_PIX_DISABLE_ESMTP = 1u << 0, /* HELO only */
	SMTP_PIX_DELAY_DOTCRLF = 1u << 1, /* the end of data in a packet of its own */
};

/* 0: none that we know. */
unsigned smtp_feature_of(struct str keyword);

/* "pipelining, size": keywords of smtp_discard_ehlo_keywords to bits. Unknown ones do not
 * count, as in Postfix; names_out: the others, as the log has them, empty if there are
 * none or silent-discard is among them. */
void smtp_features_parse(struct arena *mem, struct str text, unsigned *features_out,
			 struct str *names_out);
/* "disable_esmtp, delay_dotcrlf" to bits (enum smtp_pix); other words do not count. */
unsigned smtp_pix_parse(struct str text);
/* "disable_esmtp delay_dotcrlf" */
const char *smtp_pix_name(unsigned pix);
