/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "base/panic.h"

size_t
scram_key_bytes(enum scram_hash hash)
{
	return hash == SCRAM_SHA1 ? SHA_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
}

static const EVP_MD *
digest_of(enum scram_hash hash)
{
	return hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
}

void
scram_sign(enum scram_hash hash, const unsigned char *key, struct str text,
	   unsigned char *out)
{
	unsigned n = 0;

	ensure(HMAC(digest_of(hash), key, (int)scram_key_bytes(hash),
		    (const unsigned char *)text.p, text.len, out, &n) != NULL);
	ensure(n == scram_key_bytes(hash));
}

void
scram_stored(enum scram_hash hash, const unsigned char *client_key, unsigned char *out)
{
	ensure(EVP_Digest(client_key, scram_key_bytes(hash), out, NULL, digest_of(hash),
			  NULL) == 1);
}

void
scram_derive(enum scram_hash hash, struct str password, struct str salt,
	     unsigned iterations, struct scram_keys *out)
{
	unsigned char salted[SCRAM_KEY_MAX];

	ensure(PKCS5_PBKDF2_HMAC(password.p, (int)password.len,
				 (const unsigned char *)salt.p, (int)salt.len,
				 (int)iterations, digest_of(hash),
				 (int)scram_key_bytes(hash), salted) == 1);
	scram_sign(hash, salted, STR("Client Key"), out->client);
	scram_stored(hash, out->client, out->stored);
	scram_sign(hash, salted, STR("Server Key"), out->server);
	OPENSSL_cleanse(salted, sizeof(salted));
}

bool
scram_same(const unsigned char *a, const unsigned char *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

bool
scram_take(struct str *rest, char name, struct str *value_out)
{
	size_t end = str_index(*rest, ',');

	if (rest->len < 2 || rest->p[0] != name || rest->p[1] != '=')
		return false;
	*value_out = str_skip(str_head(*rest, end), 2);
	*rest = str_skip(*rest, end + 1);
	return true;
}

bool
scram_nonce(char out[SCRAM_NONCE_TEXT])
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char raw[SCRAM_NONCE_TEXT - 1];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return false;
	for (size_t i = 0; i < sizeof(raw); i++)
		out[i] = letters[raw[i] & 63];
	out[sizeof(raw)] = '\0';
	return true;
}
