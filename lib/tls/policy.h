/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The words of TLS parameters as values: security levels, protocol lists, cipher grades
 * (postconf(5): smtpd_tls_security_level, smtp_tls_mandatory_protocols,
 * smtp_tls_mandatory_ciphers ...). Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

/* In rising order: a level can be compared with >=. Servers use the first three. */
enum tls_level {
	TLS_LEVEL_NONE,        /* no TLS */
	TLS_LEVEL_MAY,         /* if the peer offers it; no certificate is checked */
	TLS_LEVEL_ENCRYPT,     /* no mail without it; no certificate is checked */
	TLS_LEVEL_DANE,        /* TLSA records where there are any, else as MAY */
	TLS_LEVEL_HALF_DANE,   /* DANE with an insecure MX record: never "Verified" */
	TLS_LEVEL_DANE_ONLY,   /* nothing without TLSA records */
	TLS_LEVEL_FINGERPRINT, /* the certificate or key must be one of a list */
	TLS_LEVEL_VERIFY,      /* a trusted certificate with a name that matches */
	TLS_LEVEL_SECURE,      /* the same, with names that the DNS has not told */
};

/* "none", "may", "encrypt", "dane", "half-dane", "dane-only", ... */
const char *tls_level_name(enum tls_level level);
/* Case does not matter. False for other words ("half-dane" cannot be configured). */
bool tls_level_parse(struct str word, enum tls_level *out) MUST_CHECK;
/* Does this level need a certificate that matches? */
bool tls_level_checks_peer(enum tls_level level);

/* What a list of protocols leaves. */
struct tls_protocols {
	int min, max;      /* TLS1_2_VERSION and so on; 0: no limit */
	unsigned excluded; /* enum tls_protocol_bit */
};
enum tls_protocol_bit {
	TLS_BIT_SSLV2 = 1u << 0,
	TLS_BIT_SSLV3 = 1u << 1,
	TLS_BIT_TLSV1 = 1u << 2,
	TLS_BIT_TLSV1_1 = 1u << 3,
	TLS_BIT_TLSV1_2 = 1u << 4,
	TLS_BIT_TLSV1_3 = 1u << 5,
};

/* ">=TLSv1.2, <=0303", "!SSLv2 !SSLv3", "TLSv1.2 TLSv1.3" (all others excluded); words
 * are separated by space, comma or colon. ERR_CONFIG names the word that is not known. */
bool tls_protocols_parse(struct str list, struct tls_protocols *out,
			 struct err *err) MUST_CHECK;

enum tls_grade {
	TLS_GRADE_NULL,
	TLS_GRADE_EXPORT,
	TLS_GRADE_LOW,
	TLS_GRADE_MEDIUM,
	TLS_GRADE_HIGH,
	TLS_GRADES
};
bool tls_grade_parse(struct str word, enum tls_grade *out) MUST_CHECK;

/* The list for OpenSSL: `base` (tls_high_cipherlist ...) less the ciphers of the exclude
 * lists (words separated by space, comma or colon; empty lists are fine). ERR_CONFIG
 * where a word holds what changes a list's meaning ('!', '+', '-', '@'). */
bool tls_ciphers_make(struct arena *mem, struct str base, const struct str *exclude,
		      size_t n_exclude, struct str *out, struct err *err) MUST_CHECK;

/* What smtpd_tls_loglevel says, as bits. */
enum tls_log_bit {
	TLS_LOG_SUMMARY = 1u << 0,   /* one line per handshake */
	TLS_LOG_UNTRUSTED = 1u << 1, /* why a certificate is not trusted */
	TLS_LOG_PEERCERT = 1u << 2,  /* the peer's certificate, one line */
	TLS_LOG_CERTMATCH = 1u << 3, /* which names or fingerprints match */
	TLS_LOG_VERBOSE = 1u << 4,
	TLS_LOG_CACHE = 1u << 5,   /* sessions looked up and saved */
	TLS_LOG_DEBUG = 1u << 6,   /* each state of the handshake */
	TLS_LOG_TLSPKTS = 1u << 7, /* bytes of the handshake */
	TLS_LOG_ALLPKTS = 1u << 8, /* bytes of the whole session */
};

/* "0" to "4", "none", "routine", "debug" and the names of single bits, in a list. What is
 * not known is left out, and *bad_out is the first such word (else empty). */
unsigned tls_log_parse(struct str list, struct str *bad_out);
