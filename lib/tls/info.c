/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/macros.h"

#include "tls_internal.h"

static struct str
curve_of(struct arena *mem, EVP_PKEY *key)
{
	char name[80];
	size_t n;

	if (EVP_PKEY_get_group_name(key, name, sizeof(name), &n) != 1)
		return STR_EMPTY;
	return str_dup(mem, str_from_mem(name, n));
}

static void
read_key_exchange(const struct tls_conn *conn, struct arena *mem, struct tls_info *out)
{
	EVP_PKEY *key = NULL;

	if (SSL_get_peer_tmp_key(conn->ssl, &key) != 1 || key == NULL)
		return;
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_DH:
		out->key_exchange = STR("DHE");
		out->key_bits = EVP_PKEY_get_bits(key);
		break;
	case EVP_PKEY_EC:
		out->key_exchange = STR("ECDHE");
		out->key_curve = curve_of(mem, key);
		break;
	default:
		out->key_exchange =
			str_dup(mem, str_from(OBJ_nid2sn(EVP_PKEY_get_base_id(key))));
		break;
	}
	EVP_PKEY_free(key);
}

static void
read_signature(struct arena *mem, X509 *certificate, int type, int digest,
	       struct tls_signature *out)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);

	if (key == NULL)
		return;
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		out->name = type == EVP_PKEY_RSA_PSS ? STR("RSA-PSS") : STR("RSA");
		out->bits = EVP_PKEY_get_bits(key);
		break;
	case EVP_PKEY_RSA_PSS:
		out->name = STR("RSA-PSS");
		out->bits = EVP_PKEY_get_bits(key);
		break;
	case EVP_PKEY_EC:
		out->name = STR("ECDSA");
		out->curve = curve_of(mem, key);
		break;
	default:
		out->name = str_dup(mem, str_from(OBJ_nid2sn(EVP_PKEY_get_base_id(key))));
		break;
	}
	if (digest != NID_undef)
		out->digest = str_dup(mem, str_from(OBJ_nid2sn(digest)));
}

/* Only TLS 1.3 signs always what both sides can name. */
static void
read_signatures(const struct tls_conn *conn, struct arena *mem, struct tls_info *out)
{
	bool server = conn->context->is_server;
	struct tls_signature *own =
		server ? &out->server_signature : &out->client_signature;
	struct tls_signature *peers =
		server ? &out->client_signature : &out->server_signature;
	X509 *mine = SSL_get_certificate(conn->ssl);
	X509 *theirs = SSL_get0_peer_certificate(conn->ssl);
	int type = NID_undef;
	int digest = NID_undef;

	if (mine != NULL && SSL_get_signature_type_nid(conn->ssl, &type) == 1) {
		IGNORE(SSL_get_signature_nid(conn->ssl, &digest) != 1);
		read_signature(mem, mine, type, digest, own);
	}
	type = digest = NID_undef;
	if (theirs != NULL && SSL_get_peer_signature_type_nid(conn->ssl, &type) == 1) {
		IGNORE(SSL_get_peer_signature_nid(conn->ssl, &digest) != 1);
		read_signature(mem, theirs, type, digest, peers);
	}
}

#define NO_TEXT STR_INIT("")
#define NO_SIGNATURE                                                                     \
	{                                                                                \
		.name = NO_TEXT, .curve = NO_TEXT, .digest = NO_TEXT                     \
	}

const struct tls_info *
tls_info_none(void)
{
	static const struct tls_info none = {
		.protocol = NO_TEXT,
		.cipher = NO_TEXT,
		.key_exchange = NO_TEXT,
		.key_curve = NO_TEXT,
		.server_signature = NO_SIGNATURE,
		.client_signature = NO_SIGNATURE,
		.server_name = NO_TEXT,
		.subject = NO_TEXT,
		.issuer = NO_TEXT,
		.certificate_fingerprint = NO_TEXT,
		.key_fingerprint = NO_TEXT,
		.untrusted_why = NO_TEXT,
	};

	return &none;
}

void
tls_info_read(const struct tls_conn *conn, struct arena *mem, struct tls_info *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
	X509 *peer = SSL_get0_peer_certificate(conn->ssl);
	long result = SSL_get_verify_result(conn->ssl);

	*out = *tls_info_none();
	out->protocol = str_dup(mem, str_from(SSL_get_version(conn->ssl)));
	out->cipher = str_dup(mem, str_from(SSL_CIPHER_get_name(cipher)));
	out->used_bits = SSL_CIPHER_get_bits(cipher, &out->algorithm_bits);
	out->is_reused = SSL_session_reused(conn->ssl) == 1;
	out->is_ticketed =
		out->is_reused &&
		(conn->context->is_server
			 ? conn->ticket_used
			 : SSL_SESSION_has_ticket(SSL_get_session(conn->ssl)) == 1);
	out->server_name = str_dup(mem, conn->server_name);
	if (SSL_version(conn->ssl) >= TLS1_3_VERSION) {
		read_key_exchange(conn, mem, out);
		read_signatures(conn, mem, out);
	}
	if (peer == NULL)
		return;
	tls_certificate_read(conn, peer, mem, out);
	out->is_trusted = result == X509_V_OK;
	if (!out->is_trusted)
		out->untrusted_why =
			str_dup(mem, str_from(X509_verify_cert_error_string(result)));
}

const char *
tls_info_trust(const struct tls_info *info)
{
	if (!info->has_certificate)
		return "Anonymous";
	if (info->is_matched)
		return "Verified";
	return info->is_trusted ? "Trusted" : "Untrusted";
}

struct str
tls_info_key_exchange(struct arena *mem, const struct tls_info *info)
{
	if (info->key_exchange.len == 0)
		return STR_EMPTY;
	if (info->key_curve.len > 0)
		return str_printf(mem, " key-exchange " PRI_STR " (" PRI_STR ")",
				  STR_ARG(info->key_exchange), STR_ARG(info->key_curve));
	if (info->key_bits > 0)
		return str_printf(mem, " key-exchange " PRI_STR " (%d bits)",
				  STR_ARG(info->key_exchange), info->key_bits);
	return str_printf(mem, " key-exchange " PRI_STR, STR_ARG(info->key_exchange));
}

struct str
tls_info_signature(struct arena *mem, const char *side, const struct tls_signature *s)
{
	struct buf *out;

	if (s->name.len == 0)
		return STR_EMPTY;
	out = buf_new(mem, TLS_TEXT_MAX);
	buf_printf(out, " %s-signature " PRI_STR, side, STR_ARG(s->name));
	if (s->curve.len > 0)
		buf_printf(out, " (" PRI_STR ")", STR_ARG(s->curve));
	else if (s->bits > 0)
		buf_printf(out, " (%d bits)", s->bits);
	if (s->digest.len > 0)
		buf_printf(out, " %s-digest " PRI_STR, side, STR_ARG(s->digest));
	return buf_str(out);
}

struct str
tls_info_summary(struct arena *mem, const struct tls_info *info)
{
	struct str key_exchange = tls_info_key_exchange(mem, info);
	struct str server = tls_info_signature(mem, "server", &info->server_signature);
	struct str client = tls_info_signature(mem, "client", &info->client_signature);

	return str_printf(mem,
			  PRI_STR " with cipher " PRI_STR
				  " (%d/%d bits)" PRI_STR PRI_STR PRI_STR,
			  STR_ARG(info->protocol), STR_ARG(info->cipher), info->used_bits,
			  info->algorithm_bits, STR_ARG(key_exchange), STR_ARG(server),
			  STR_ARG(client));
}
