/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/verifier.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

#include "mail/base64.h"
#include "sasl/scram.h"

enum { TEXT_MAX = 12288, USER_MAX = 255 };

enum family { PLAIN, LOGIN, SCRAM };

struct verifier {
	struct arena *mem;
	enum family family;
	unsigned step;
	struct str user, password;
	/* SCRAM. */
	char own_nonce[SCRAM_NONCE_TEXT];
	struct str gs2, bare, nonce;
	struct str server_first;
	struct secret keys;
};

struct verifier *
verifier_new(struct arena *mem, struct str mechanism, const char *nonce)
{
	struct verifier *v = ARENA_NEW(mem, struct verifier);

	v->mem = mem;
	v->user = v->password = STR_EMPTY;
	if (str_ieq(mechanism, STR("PLAIN")))
		v->family = PLAIN;
	else if (str_ieq(mechanism, STR("LOGIN")))
		v->family = LOGIN;
	else if (str_ieq(mechanism, STR("SCRAM-SHA-256")))
		v->family = SCRAM;
	else
		return NULL;
	if (nonce != NULL)
		memcpy(v->own_nonce, nonce, strnlen(nonce, sizeof(v->own_nonce) - 1) + 1);
	else if (!scram_nonce(v->own_nonce))
		return NULL;
	return v;
}

static bool
is_user(struct str user)
{
	for (size_t i = 0; i < user.len; i++)
		if ((unsigned char)user.p[i] < ' ' || user.p[i] == 127)
			return false;
	return user.len > 0 && user.len <= USER_MAX && str_is_utf8(user);
}

/* ---- PLAIN (RFC 4616) ---- */

static enum verifier_status
step_plain(struct verifier *v, struct str text)
{
	struct str authzid;
	struct str user;
	struct str password;

	if (!str_split(text, '\0', &authzid, &text) ||
	    !str_split(text, '\0', &user, &password) || !is_user(user) ||
	    str_contains(password, '\0') || password.len == 0)
		return VERIFIER_FAIL;
	/* Nobody acts for somebody else. */
	if (authzid.len > 0 && !str_eq(authzid, user))
		return VERIFIER_FAIL;
	v->user = str_dup(v->mem, user);
	v->password = str_dup(v->mem, password);
	return VERIFIER_CHECK;
}

/* ---- LOGIN ---- */

static enum verifier_status
step_login(struct verifier *v, const struct str *response, struct str *out)
{
	if (v->step == 0 && response == NULL) {
		*out = STR("Username:");
		v->step = 1;
		return VERIFIER_MORE;
	}
	if (response == NULL)
		return VERIFIER_FAIL;
	if (v->step <= 1) {
		if (!is_user(*response))
			return VERIFIER_FAIL;
		v->user = str_dup(v->mem, *response);
		v->step = 2;
		*out = STR("Password:");
		return VERIFIER_MORE;
	}
	v->password = str_dup(v->mem, *response);
	return v->step++ == 2 ? VERIFIER_CHECK : VERIFIER_FAIL;
}

/* ---- SCRAM (RFC 5802) ---- */

static bool
unescape_name(struct arena *mem, struct str text, struct str *out)
{
	struct buf *name = buf_new(mem, TEXT_MAX);

	while (text.len > 0) {
		size_t n = 1;

		if (text.p[0] != '=') {
			buf_add_char(name, text.p[0]);
		} else {
			n = 3;
			if (str_starts(text, STR("=2C")))
				buf_add_char(name, ',');
			else if (str_starts(text, STR("=3D")))
				buf_add_char(name, '=');
			else
				return false;
		}
		text = str_skip(text, n);
	}
	*out = buf_str(name);
	return true;
}

/* "n,,n=user,r=nonce": "y" is fine, we have no -PLUS; "p=" is not. */
static enum verifier_status
scram_first(struct verifier *v, struct str text)
{
	struct str flag;
	struct str authzid;
	struct str name;
	struct str other = STR_EMPTY;
	struct str rest;

	text = str_dup(v->mem, text);
	rest = text;
	if (!str_split(rest, ',', &flag, &rest) ||
	    !(str_eq(flag, STR("n")) || str_eq(flag, STR("y"))) ||
	    !str_split(rest, ',', &authzid, &rest))
		return VERIFIER_FAIL;
	v->gs2 = str_head(text, text.len - rest.len);
	v->bare = rest;
	if (!scram_take(&rest, 'n', &name) || !scram_take(&rest, 'r', &v->nonce) ||
	    v->nonce.len == 0 || !unescape_name(v->mem, name, &v->user) ||
	    !is_user(v->user))
		return VERIFIER_FAIL;
	if (authzid.len > 0 && (!str_starts(authzid, STR("a=")) ||
				!unescape_name(v->mem, str_skip(authzid, 2), &other) ||
				!str_eq(other, v->user)))
		return VERIFIER_FAIL;
	v->step = 1;
	return VERIFIER_LOOKUP;
}

enum verifier_status
verifier_supply(struct verifier *v, const struct secret *keys, struct str *out)
{
	struct str salt = base64_encode(
		v->mem, str_from_mem((const char *)keys->salt, keys->salt_len));

	v->keys = *keys;
	v->nonce = str_concat(v->mem, v->nonce, str_from(v->own_nonce));
	v->server_first = str_printf(v->mem, "r=" PRI_STR ",s=" PRI_STR ",i=%u",
				     STR_ARG(v->nonce), STR_ARG(salt), keys->iterations);
	*out = v->server_first;
	return VERIFIER_MORE;
}

/* Was the message signed by who knows the password? */
static bool
proof_fits(const struct verifier *v, struct str message, struct str proof)
{
	unsigned char client_key[SCRAM_KEY_MAX];
	unsigned char stored[SCRAM_KEY_MAX];
	struct str text =
		str_printf(v->mem, PRI_STR "," PRI_STR "," PRI_STR, STR_ARG(v->bare),
			   STR_ARG(v->server_first), STR_ARG(message));

	scram_sign(SCRAM_SHA256, v->keys.stored_key, text, client_key);
	for (size_t i = 0; i < SECRET_KEY_BYTES; i++)
		client_key[i] ^= (unsigned char)proof.p[i];
	scram_stored(SCRAM_SHA256, client_key, stored);
	return scram_same(stored, v->keys.stored_key, SECRET_KEY_BYTES);
}

static enum verifier_status
scram_final(struct verifier *v, struct str text, struct str *out)
{
	unsigned char signature[SCRAM_KEY_MAX];
	struct str rest = text;
	struct str binding;
	struct str nonce;
	struct str proof;
	struct str message;
	struct str raw;
	size_t before;

	if (!scram_take(&rest, 'c', &binding) || !scram_take(&rest, 'r', &nonce))
		return VERIFIER_FAIL;
	/* Extensions may stand between; the proof is the last. */
	before = str_find(text, STR(",p="));
	proof = str_skip(text, before + 3);
	message = str_head(text, before);
	if (!base64_decode(v->mem, binding, &raw) || !str_eq(raw, v->gs2) ||
	    !str_eq(nonce, v->nonce) || !base64_decode(v->mem, proof, &raw) ||
	    raw.len != SECRET_KEY_BYTES || !proof_fits(v, message, raw))
		return VERIFIER_FAIL;
	scram_sign(SCRAM_SHA256, v->keys.server_key,
		   str_printf(v->mem, PRI_STR "," PRI_STR "," PRI_STR, STR_ARG(v->bare),
			      STR_ARG(v->server_first), STR_ARG(message)),
		   signature);
	raw = base64_encode(v->mem,
			    str_from_mem((const char *)signature, SECRET_KEY_BYTES));
	*out = str_printf(v->mem, "v=" PRI_STR, STR_ARG(raw));
	v->step = 2;
	return VERIFIER_MORE;
}

static enum verifier_status
step_scram(struct verifier *v, struct str text, struct str *out)
{
	if (v->step == 0)
		return scram_first(v, text);
	if (v->step == 1)
		return scram_final(v, text, out);
	/* The client has seen that we know the keys, and has nothing more to say. */
	return v->step++ == 2 && text.len == 0 ? VERIFIER_DONE : VERIFIER_FAIL;
}

/* ---- the whole ---- */

enum verifier_status
verifier_step(struct verifier *v, const struct str *response, struct str *out)
{
	*out = STR_EMPTY;
	if (response != NULL && response->len > TEXT_MAX)
		return VERIFIER_FAIL;
	if (v->family == LOGIN)
		return step_login(v, response, out);
	if (response == NULL)
		return v->step == 0 ? VERIFIER_MORE : VERIFIER_FAIL;
	return v->family == PLAIN ? step_plain(v, *response)
				  : step_scram(v, *response, out);
}

struct str
verifier_user(const struct verifier *v)
{
	return v->user;
}

struct str
verifier_password(const struct verifier *v)
{
	return v->password;
}
