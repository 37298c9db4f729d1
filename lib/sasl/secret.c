/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/secret.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/mem.h"

#include "mail/base64.h"
#include "sasl/scram.h"

enum { NEW_SALT_BYTES = 16, DECOY_SALT_BYTES = 16 };

/* What an unknown user's password is compared with when rows are hashes: no password
 * fits it, and the work is that of SHA-512 with its usual rounds. */
static const char decoy_hash[] =
	"$6$nobodyknowsthis.$"
	"......................................................................"
	"................";

static bool
bad_row(struct err *err, const char *what)
{
	return err_set(err, ERR_CONFIG, "bad password row: %s", what);
}

static bool
parse_key(struct arena *mem, struct str text, unsigned char out[SECRET_KEY_BYTES])
{
	struct str raw;

	if (!base64_decode(mem, text, &raw) || raw.len != SECRET_KEY_BYTES)
		return false;
	memcpy(out, raw.p, raw.len);
	return true;
}

static bool
parse_scram(struct arena *mem, struct str text, struct secret *out, struct err *err)
{
	struct str iterations;
	struct str salt;
	struct str stored;
	struct str server;
	struct str raw;
	uint64_t n;

	if (!str_split(text, ',', &iterations, &text) ||
	    !str_split(text, ',', &salt, &text) ||
	    !str_split(text, ',', &stored, &server))
		return bad_row(err, "not iterations,salt,storedkey,serverkey");
	if (!str_to_u64(iterations, SECRET_ITERATIONS_MAX, &n) || n == 0)
		return bad_row(err, "bad number of iterations");
	if (!base64_decode(mem, salt, &raw) || raw.len == 0 || raw.len > SECRET_SALT_MAX)
		return bad_row(err, "bad salt");
	if (!parse_key(mem, stored, out->stored_key) ||
	    !parse_key(mem, server, out->server_key))
		return bad_row(err, "bad key");
	out->kind = SECRET_SCRAM;
	out->iterations = (unsigned)n;
	memcpy(out->salt, raw.p, raw.len);
	out->salt_len = raw.len;
	return true;
}

/* A hash that crypt() knows; no plain password by mistake. */
static bool
parse_crypt(struct str text, struct secret *out, struct err *err)
{
	if (str_starts(text, STR("{CRYPT}")))
		text = str_skip(text, STR("{CRYPT}").len);
	if (text.len == 0 || text.p[0] != '$' || str_contains(text, '\0'))
		return bad_row(err,
			       "neither a hash ($...) nor {SCRAM-SHA-256}; see `hikyaku "
			       "password'");
	out->kind = SECRET_CRYPT;
	memcpy(out->hash, text.p, text.len);
	out->hash[text.len] = '\0';
	return true;
}

bool
secret_parse(struct str row, struct secret *out, struct err *err)
{
	struct str prefix = STR("{SCRAM-SHA-256}");
	struct secret found = {.kind = SECRET_CRYPT};
	struct arena *mem;
	bool ok;

	row = str_trim(row);
	if (row.len >= SECRET_ROW_MAX)
		return bad_row(err, "too long");
	if (!str_istarts(row, prefix)) {
		ok = parse_crypt(row, &found, err);
	} else {
		mem = arena_new();
		ok = parse_scram(mem, str_skip(row, prefix.len), &found, err);
		arena_free(&mem);
	}
	if (ok)
		*out = found;
	return ok;
}

void
secret_decoy(struct str user, const unsigned char key[SECRET_KEY_BYTES],
	     enum secret_kind kind, struct secret *out)
{
	unsigned char salt[SECRET_KEY_BYTES];

	*out = (struct secret){.kind = kind, .iterations = SECRET_ITERATIONS};
	scram_sign(SCRAM_SHA256, key, user, salt);
	memcpy(out->salt, salt, DECOY_SALT_BYTES);
	out->salt_len = DECOY_SALT_BYTES;
	/* Keys that nobody has: a hash of what only we know. */
	scram_sign(SCRAM_SHA256, key, str_from_mem((const char *)salt, sizeof(salt)),
		   out->stored_key);
	scram_sign(SCRAM_SHA256, salt, user, out->server_key);
	memcpy(out->hash, decoy_hash, sizeof(decoy_hash));
}

static bool
crypt_matches(const struct secret *secret, const char *password)
{
	struct crypt_data *data = mem_alloc(sizeof(*data));
	char *got = crypt_r(password, secret->hash, data);
	size_t n = strlen(secret->hash);
	bool same = got != NULL && got[0] == '$' && strlen(got) == n &&
		    CRYPTO_memcmp(got, secret->hash, n) == 0;

	OPENSSL_cleanse(data, sizeof(*data));
	mem_free(data);
	return same;
}

bool
secret_matches(const struct secret *secret, struct str password)
{
	struct scram_keys keys;
	char text[SECRET_PASSWORD_MAX + 1];
	bool same;

	if (password.len > SECRET_PASSWORD_MAX || str_contains(password, '\0'))
		return false;
	if (secret->kind == SECRET_SCRAM) {
		struct str salt =
			str_from_mem((const char *)secret->salt, secret->salt_len);

		scram_derive(SCRAM_SHA256, password, salt, secret->iterations, &keys);
		same = scram_same(keys.stored, secret->stored_key, SECRET_KEY_BYTES);
		OPENSSL_cleanse(&keys, sizeof(keys));
		return same;
	}
	if (password.len > 0)
		memcpy(text, password.p, password.len);
	text[password.len] = '\0';
	same = crypt_matches(secret, text);
	OPENSSL_cleanse(text, sizeof(text));
	return same;
}

static bool
make_scram(struct arena *mem, struct str password, struct str *row_out, struct err *err)
{
	char salt[NEW_SALT_BYTES];
	struct scram_keys keys;
	struct str raw;
	struct str parts[3];

	if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return err_errno(err, ERR_TEMP, "random salt");
	raw = str_from_mem(salt, sizeof(salt));
	scram_derive(SCRAM_SHA256, password, raw, SECRET_ITERATIONS, &keys);
	parts[0] = base64_encode(mem, raw);
	parts[1] = base64_encode(
		mem, str_from_mem((const char *)keys.stored, SECRET_KEY_BYTES));
	parts[2] = base64_encode(
		mem, str_from_mem((const char *)keys.server, SECRET_KEY_BYTES));
	OPENSSL_cleanse(&keys, sizeof(keys));
	*row_out = str_printf(mem, "{SCRAM-SHA-256}%d," PRI_STR "," PRI_STR "," PRI_STR,
			      (int)SECRET_ITERATIONS, STR_ARG(parts[0]),
			      STR_ARG(parts[1]), STR_ARG(parts[2]));
	return true;
}

static bool
make_crypt(struct arena *mem, struct str password, struct str *row_out, struct err *err)
{
	struct crypt_data *data = mem_alloc(sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char *hash = NULL;

	if (crypt_gensalt_rn(NULL, 0, NULL, 0, setting, sizeof(setting)) != NULL)
		hash = crypt_r(str_c(mem, password), setting, data);
	if (hash != NULL && hash[0] == '$')
		*row_out = str_dup(mem, str_from(hash));
	else
		hash = NULL;
	OPENSSL_cleanse(data, sizeof(*data));
	mem_free(data);
	return hash != NULL || err_errno(err, ERR_TEMP, "crypt");
}

bool
secret_make(struct arena *mem, struct str password, bool scram, struct str *row_out,
	    struct err *err)
{
	if (password.len == 0 || password.len > SECRET_PASSWORD_MAX ||
	    str_contains(password, '\0'))
		return err_set(err, ERR_PERM,
			       "a password has 1 to %d bytes, none of "
			       "them NUL",
			       (int)SECRET_PASSWORD_MAX);
	return scram ? make_scram(mem, password, row_out, err)
		     : make_crypt(mem, password, row_out, err);
}
