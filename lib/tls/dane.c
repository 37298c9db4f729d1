/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a server must be: names, CAs of its own, TLSA records (RFC 6698, RFC 7672) are
 * given to OpenSSL before the handshake; fingerprints are compared after it.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

enum { ANCHORS_MAX = 100 };

/* ---- TLSA records ---- */

static bool
digest_allowed(struct str digests, uint8_t matching)
{
	const char *name = matching == 1 ? "sha256" : "sha512";
	struct str rest = digests;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		/* "sha256=1": the number is that of the registry. */
		if (str_ieq(str_head(word, str_index(word, '=')), str_from(name)))
			return true;
	}
	return false;
}

/* RFC 7672 section 3.1: usage 0 and 1 are not for SMTP. */
static bool
is_usable(const struct tls_tlsa *t, struct str digests)
{
	if ((t->usage != 2 && t->usage != 3) || t->selector > 1 || t->matching > 2)
		return false;
	if (t->matching == 0)
		return t->data.len > 0;
	return t->data.len == (t->matching == 1 ? 32 : 64) &&
	       digest_allowed(digests, t->matching);
}

size_t
tls_tlsa_usable(const struct tls_tlsa *tlsa, size_t n, struct str dane_digests)
{
	size_t usable = 0;

	for (size_t i = 0; i < n && i < TLS_TLSA_MAX; i++)
		usable += is_usable(&tlsa[i], dane_digests);
	return usable;
}

static size_t
add_records(struct tls_conn *conn, const struct tls_connect_options *o)
{
	size_t added = 0;

	for (size_t i = 0; i < o->n_tlsa && i < TLS_TLSA_MAX; i++) {
		const struct tls_tlsa *t = &o->tlsa[i];

		if (!is_usable(t, o->dane_digests))
			continue;
		/* Data that is no certificate or key is told by 0: left out. */
		added += SSL_dane_tlsa_add(conn->ssl, t->usage, t->selector, t->matching,
					   (const unsigned char *)t->data.p,
					   t->data.len) > 0;
	}
	ERR_clear_error();
	return added;
}

/* ---- names ---- */

static bool
add_names(struct tls_conn *conn, const struct tls_connect_options *o, struct err *err)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (conn->context->many_labels)
		flags |= X509_CHECK_FLAG_MULTI_LABEL_WILDCARDS;
	SSL_set_hostflags(conn->ssl, flags);
	for (size_t i = 0; i < o->n_names && i < TLS_NAMES_MAX; i++)
		if (SSL_add1_host(conn->ssl, str_c(conn->mem, o->names[i])) != 1)
			return err_set(err, ERR_CONFIG,
				       "error loading match name \"" PRI_STR "\"",
				       STR_ARG(o->names[i]));
	return true;
}

/* ---- CAs of its own (tafile=): as TLSA records of usage 2 ---- */

static bool
add_anchor(struct tls_conn *conn, const char *type, const unsigned char *data, long n)
{
	if (str_eq(str_from(type), STR(PEM_STRING_PUBLIC)))
		return SSL_dane_tlsa_add(conn->ssl, 2, 1, 0, data, (size_t)n) > 0;
	if (str_eq(str_from(type), STR(PEM_STRING_X509)) ||
	    str_eq(str_from(type), STR(PEM_STRING_X509_OLD)))
		return SSL_dane_tlsa_add(conn->ssl, 2, 0, 0, data, (size_t)n) > 0;
	return false;
}

static bool
add_anchor_file(struct tls_conn *conn, struct str path, struct err *err)
{
	BIO *bio = BIO_new_file(str_c(conn->mem, path), "r");
	int added = 0;

	if (bio == NULL)
		return err_set(err, ERR_CONFIG,
			       "error opening trust anchor file: " PRI_STR,
			       STR_ARG(path));
	for (int i = 0; i < ANCHORS_MAX; i++) {
		char *name = NULL;
		char *header = NULL;
		unsigned char *data = NULL;
		long n;

		if (PEM_read_bio(bio, &name, &header, &data, &n) != 1)
			break;
		added += add_anchor(conn, name, data, n);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(bio);
	ERR_clear_error();
	return added > 0 ||
	       err_set(err, ERR_CONFIG, "no trust anchors in: " PRI_STR, STR_ARG(path));
}

bool
tls_dane_set(struct tls_conn *conn, const struct tls_connect_options *o, struct err *err)
{
	bool dane = o->level >= TLS_LEVEL_DANE && o->level <= TLS_LEVEL_DANE_ONLY;
	bool names = o->level == TLS_LEVEL_VERIFY || o->level == TLS_LEVEL_SECURE;
	const char *base = o->n_names > 0 ? str_c(conn->mem, o->names[0]) : "";

	if (names && o->n_names == 0)
		return err_set(err, ERR_CONFIG, "no names to match");
	if ((dane && o->n_tlsa > 0) || (names && o->n_anchor_files > 0)) {
		/* Says the name to send and the first one to match. */
		if (SSL_dane_enable(conn->ssl, base) <= 0)
			return err_set(err, ERR_TEMP,
				       "error enabling DANE-based "
				       "certificate validation");
		SSL_dane_set_flags(conn->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	}
	if (dane && o->n_tlsa > 0 && add_records(conn, o) == 0 &&
	    o->level == TLS_LEVEL_DANE_ONLY)
		return err_set(err, ERR_PERM, "no usable TLSA records");
	for (size_t i = 0; names && i < o->n_anchor_files; i++)
		if (!add_anchor_file(conn, o->anchor_files[i], err))
			return false;
	return (!names && !dane) || add_names(conn, o, err);
}

bool
tls_fingerprint_matches(const struct tls_info *info, const struct tls_connect_options *o)
{
	for (size_t i = 0; i < o->n_fingerprints; i++)
		if (o->fingerprints[i].len > 0 &&
		    (str_ieq(o->fingerprints[i], info->certificate_fingerprint) ||
		     str_ieq(o->fingerprints[i], info->key_fingerprint)))
			return true;
	return false;
}
