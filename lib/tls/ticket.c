/* SPDX-License-Identifier: Apache-2.0 */
/* Session tickets with keys that all processes of a service share (RFC 5077, 8446). */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"

#include "tls_internal.h"

void
tls_context_set_ticket_keys(struct tls_context *context,
			    const struct tls_ticket_key *keys, size_t n)
{
	OPENSSL_cleanse(context->keys, sizeof(context->keys));
	context->n_keys = MIN_OF(n, (size_t)TLS_TICKET_KEYS);
	for (size_t i = 0; i < context->n_keys; i++)
		context->keys[i] = keys[i];
}

static const struct tls_ticket_key *
key_to_encrypt(const struct tls_context *c, int64_t now)
{
	for (size_t i = 0; i < c->n_keys; i++)
		if (now < c->keys[i].encrypts_until)
			return &c->keys[i];
	return NULL;
}

bool
tls_context_wants_ticket_keys(const struct tls_context *context, int64_t now_seconds)
{
	return context->tickets && key_to_encrypt(context, now_seconds) == NULL;
}

static const struct tls_ticket_key *
key_to_decrypt(const struct tls_context *c, const unsigned char *name, int64_t now)
{
	for (size_t i = 0; i < c->n_keys; i++)
		if (now < c->keys[i].decrypts_until &&
		    CRYPTO_memcmp(c->keys[i].name, name, TLS_TICKET_NAME) == 0)
			return &c->keys[i];
	return NULL;
}

static bool
use_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
						  (void *)(uintptr_t)key->mac,
						  sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static void
tell_key(const struct tls_conn *conn, const struct tls_ticket_key *key, bool encrypts)
{
	if ((conn->log.bits & TLS_LOG_CACHE) != 0)
		tls_say(&conn->log, LOG_LEVEL_INFO,
			PRI_STR ": %s session ticket, key expiration: %" PRId64,
			STR_ARG(conn->log.peer), encrypts ? "Issuing" : "Decrypting",
			encrypts ? key->encrypts_until : key->decrypts_until);
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int
ticket_keys(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	    EVP_MAC_CTX *mac, int encrypts)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	const struct tls_context *c = conn->context;
	const EVP_CIPHER *aes = EVP_aes_256_cbc();
	int64_t now = time(NULL);
	const struct tls_ticket_key *key =
		encrypts ? key_to_encrypt(c, now) : key_to_decrypt(c, name, now);

	if (key == NULL || !use_mac(mac, key))
		return 0;
	tell_key(conn, key, encrypts != 0);
	if (!encrypts) {
		if (EVP_DecryptInit_ex(cipher, aes, NULL, key->cipher, iv) != 1)
			return -1;
		conn->ticket_used = true;
		/* An old key: it is time for a new ticket. */
		return now < key->encrypts_until ? 1 : 2;
	}
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1 ||
	    EVP_EncryptInit_ex(cipher, aes, NULL, key->cipher, iv) != 1)
		return -1;
	memcpy(name, key->name, TLS_TICKET_NAME);
	return 1;
}

void
tls_ticket_install(struct tls_context *c)
{
	if (!c->tickets) {
		SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
		return;
	}
	SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, ticket_keys);
}
