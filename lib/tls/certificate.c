/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer's certificate says, fit for log lines and headers. */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

/* One part of a name as text; empty: not there, or doubtful. */
static struct str
name_part(struct arena *mem, const X509_NAME *name, int nid)
{
	int at = name == NULL ? -1 : X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8 = NULL;
	struct str text = STR_EMPTY;
	int n;

	if (at < 0)
		return STR_EMPTY;
	n = ASN1_STRING_to_UTF8(&utf8,
				X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n <= 0)
		return STR_EMPTY;
	/* A name with a NUL in it, or longer than any may be, deceives somebody. */
	if ((size_t)n < TLS_TEXT_MAX) {
		text = str_from_mem(utf8, (size_t)n);
		text = str_contains(text, '\0') ? STR_EMPTY
						: str_printable(mem, text, true);
	}
	OPENSSL_free(utf8);
	return text;
}

struct str
tls_certificate_subject(struct arena *mem, X509 *certificate)
{
	return name_part(mem, X509_get_subject_name(certificate), NID_commonName);
}

/* An organisation says more than most common names of CAs. */
struct str
tls_certificate_issuer(struct arena *mem, X509 *certificate)
{
	const X509_NAME *name = X509_get_issuer_name(certificate);
	struct str text = name_part(mem, name, NID_commonName);

	return text.len > 0 ? text : name_part(mem, name, NID_organizationName);
}

static struct str
fingerprint(struct arena *mem, const EVP_MD *digest, const unsigned char *p, int n)
{
	unsigned char value[EVP_MAX_MD_SIZE];
	struct buf *out = buf_new(mem, (size_t)3 * EVP_MAX_MD_SIZE);
	unsigned size = 0;

	if (n <= 0 || EVP_Digest(p, (size_t)n, value, &size, digest, NULL) != 1)
		return STR_EMPTY;
	for (unsigned i = 0; i < size; i++)
		buf_printf(out, "%s%02X", i > 0 ? ":" : "", (unsigned)value[i]);
	return buf_str(out);
}

/* Of the public key with its algorithm or, tls_legacy_public_key_fingerprints, its bits
 * alone. */
static struct str
key_fingerprint(const struct tls_conn *conn, struct arena *mem, X509 *certificate)
{
	const struct tls_context *c = conn->context;
	unsigned char *der = NULL;
	struct str text;
	int n;

	if (c->legacy_keys) {
		const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(certificate);

		return bits == NULL
			       ? STR_EMPTY
			       : fingerprint(mem, c->digest, ASN1_STRING_get0_data(bits),
					     ASN1_STRING_length(bits));
	}
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	text = fingerprint(mem, c->digest, der, n);
	OPENSSL_free(der);
	return text;
}

void
tls_certificate_read(const struct tls_conn *conn, X509 *certificate, struct arena *mem,
		     struct tls_info *info)
{
	unsigned char *der = NULL;
	int n = i2d_X509(certificate, &der);

	info->has_certificate = true;
	info->subject = tls_certificate_subject(mem, certificate);
	info->issuer = tls_certificate_issuer(mem, certificate);
	info->certificate_fingerprint = fingerprint(mem, conn->context->digest, der, n);
	info->key_fingerprint = key_fingerprint(conn, mem, certificate);
	OPENSSL_free(der);
}
