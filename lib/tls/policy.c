/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/policy.h"

#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

enum { CIPHERS_MAX = 8192 };

static const char separators[] = ",: \t\r\n";

/* ---- levels ---- */

static const char *const level_names[] = {
	[TLS_LEVEL_NONE] = "none",
	[TLS_LEVEL_MAY] = "may",
	[TLS_LEVEL_ENCRYPT] = "encrypt",
	[TLS_LEVEL_DANE] = "dane",
	[TLS_LEVEL_HALF_DANE] = "half-dane",
	[TLS_LEVEL_DANE_ONLY] = "dane-only",
	[TLS_LEVEL_FINGERPRINT] = "fingerprint",
	[TLS_LEVEL_VERIFY] = "verify",
	[TLS_LEVEL_SECURE] = "secure",
};

const char *
tls_level_name(enum tls_level level)
{
	return level_names[level];
}

bool
tls_level_parse(struct str word, enum tls_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (i == TLS_LEVEL_HALF_DANE || !str_ieq(word, str_from(level_names[i])))
			continue;
		*out = (enum tls_level)i;
		return true;
	}
	return false;
}

bool
tls_level_checks_peer(enum tls_level level)
{
	return level >= TLS_LEVEL_DANE && level != TLS_LEVEL_HALF_DANE;
}

/* ---- protocols ---- */

static const struct {
	const char *name;
	unsigned bit;
	int version;
} protocols[] = {
	{"SSLv2", TLS_BIT_SSLV2, 0x0002},
	{"SSLv3", TLS_BIT_SSLV3, SSL3_VERSION},
	{"TLSv1", TLS_BIT_TLSV1, TLS1_VERSION},
	{"TLSv1.1", TLS_BIT_TLSV1_1, TLS1_1_VERSION},
	{"TLSv1.2", TLS_BIT_TLSV1_2, TLS1_2_VERSION},
	{"TLSv1.3", TLS_BIT_TLSV1_3, TLS1_3_VERSION},
};

static bool
hex_version(struct str word, int *out)
{
	int v = 0;

	if (word.len != 4)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		char c = char_lower(word.p[i]);

		if (char_is_digit(c))
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return true;
}

/* A name or, as a limit, four hexadecimal digits. */
static bool
find_version(struct str word, bool is_limit, unsigned *bit_out, int *version_out)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (!str_ieq(word, str_from(protocols[i].name)))
			continue;
		*bit_out = protocols[i].bit;
		*version_out = protocols[i].version;
		return true;
	}
	*bit_out = 0;
	return is_limit && hex_version(word, version_out);
}

bool
tls_protocols_parse(struct str list, struct tls_protocols *out, struct err *err)
{
	struct tls_protocols p = {0, 0, 0};
	unsigned included = 0;
	struct str rest = list;
	struct str word;

	while (str_token(&rest, separators, &word)) {
		bool is_min = str_starts(word, STR(">="));
		bool is_max = str_starts(word, STR("<="));
		bool is_out = str_starts(word, STR("!"));
		struct str name = str_skip(word, is_min || is_max ? 2 : is_out ? 1 : 0);
		unsigned bit;
		int version;

		if (!find_version(name, is_min || is_max, &bit, &version))
			return err_set(err, ERR_CONFIG,
				       "Invalid TLS protocol list \"" PRI_STR "\"",
				       STR_ARG(list));
		if (is_min)
			p.min = version;
		else if (is_max)
			p.max = version;
		else if (is_out)
			p.excluded |= bit;
		else
			included |= bit;
	}
	if (included != 0)
		p.excluded |= ~included & (TLS_BIT_TLSV1_3 * 2 - 1);
	*out = p;
	return true;
}

/* ---- ciphers ---- */

bool
tls_grade_parse(struct str word, enum tls_grade *out)
{
	static const char *const names[TLS_GRADES] = {
		[TLS_GRADE_NULL] = "null", [TLS_GRADE_EXPORT] = "export",
		[TLS_GRADE_LOW] = "low",   [TLS_GRADE_MEDIUM] = "medium",
		[TLS_GRADE_HIGH] = "high",
	};

	for (size_t i = 0; i < TLS_GRADES; i++) {
		if (!str_ieq(word, str_from(names[i])))
			continue;
		*out = (enum tls_grade)i;
		return true;
	}
	return false;
}

bool
tls_ciphers_make(struct arena *mem, struct str base, const struct str *exclude,
		 size_t n_exclude, struct str *out, struct err *err)
{
	struct buf *list = buf_new(mem, CIPHERS_MAX);

	buf_add(list, base);
	for (size_t i = 0; i < n_exclude; i++) {
		struct str rest = exclude[i];
		struct str word;

		while (str_token(&rest, separators, &word)) {
			/* In the middle '+' joins: "kRSA+AES" is one set. */
			if (str_index_any(str_head(word, 1), "!+-@") == 0)
				return err_set(err, ERR_CONFIG,
					       "invalid unescaped \"!+-@\" in "
					       "excluded cipher: \"" PRI_STR "\"",
					       STR_ARG(word));
			buf_printf(list, ":!" PRI_STR, STR_ARG(word));
		}
	}
	if (!buf_ok(list))
		return err_set(err, ERR_CONFIG, "TLS cipher list is too long");
	*out = buf_str(list);
	return true;
}

/* ---- log levels ---- */

enum {
	LOG_2 = TLS_LOG_SUMMARY | TLS_LOG_UNTRUSTED | TLS_LOG_PEERCERT |
		TLS_LOG_CERTMATCH | TLS_LOG_VERBOSE | TLS_LOG_CACHE | TLS_LOG_DEBUG,
	LOG_3 = LOG_2 | TLS_LOG_TLSPKTS,
	LOG_4 = LOG_3 | TLS_LOG_ALLPKTS,
};

unsigned
tls_log_parse(struct str list, struct str *bad_out)
{
	static const struct {
		const char *name;
		unsigned bits;
	} rows[] = {
		{"0", 0},
		{"none", 0},
		{"1", TLS_LOG_SUMMARY},
		{"routine", TLS_LOG_SUMMARY},
		{"2", LOG_2},
		{"debug", LOG_2},
		{"3", LOG_3},
		{"ssl-expert", LOG_3},
		{"4", LOG_4},
		{"ssl-developer", LOG_4},
		{"summary", TLS_LOG_SUMMARY},
		{"untrusted", TLS_LOG_UNTRUSTED},
		{"peercert", TLS_LOG_PEERCERT},
		{"certmatch", TLS_LOG_CERTMATCH},
		{"verbose", TLS_LOG_VERBOSE},
		{"cache", TLS_LOG_CACHE},
		{"ssl-debug", TLS_LOG_DEBUG},
		{"ssl-handshake-packet-dump", TLS_LOG_TLSPKTS},
		{"ssl-session-packet-dump", TLS_LOG_TLSPKTS | TLS_LOG_ALLPKTS},
	};
	unsigned bits = 0;
	struct str rest = list;
	struct str word;

	*bad_out = STR_EMPTY;
	while (str_token(&rest, ", \t\r\n", &word)) {
		size_t i = 0;

		while (i < ARRAY_LEN(rows) && !str_ieq(word, str_from(rows[i].name)))
			i++;
		if (i < ARRAY_LEN(rows))
			bits |= rows[i].bits;
		else if (bad_out->len == 0)
			*bad_out = word;
	}
	return bits;
}
