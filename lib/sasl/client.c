/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

#include "mail/base64.h"
#include "sasl/scram.h"

enum { MD5_BYTES = 16, SCRAM_SALT_MAX = 1024 };

enum family { PLAIN, LOGIN, CRAM_MD5, SCRAM, EXTERNAL, XOAUTH2, OAUTHBEARER };

struct kind {
	const char *name;
	enum family family;
	enum scram_hash hash;
	bool binds; /* -PLUS */
};

/* What of mechanism.def we can do, in its order. */
static const struct kind kinds[] = {
	{"SCRAM-SHA-256-PLUS", SCRAM, SCRAM_SHA256, true},
	{"SCRAM-SHA-256", SCRAM, SCRAM_SHA256, false},
	{"SCRAM-SHA-1-PLUS", SCRAM, SCRAM_SHA1, true},
	{"SCRAM-SHA-1", SCRAM, SCRAM_SHA1, false},
	{"EXTERNAL", EXTERNAL, 0, false},
	{"OAUTHBEARER", OAUTHBEARER, 0, false},
	{"XOAUTH2", XOAUTH2, 0, false},
	{"CRAM-MD5", CRAM_MD5, 0, false},
	{"PLAIN", PLAIN, 0, false},
	{"LOGIN", LOGIN, 0, false},
};

struct sasl_client {
	struct arena *mem;
	const struct kind *kind;
	struct sasl_credentials who;
	unsigned step;
	bool is_done;
	struct str reason;
	/* SCRAM. */
	struct str nonce;
	struct str gs2;  /* "n,,": the header before the first message */
	struct str bare; /* first message without it */
	unsigned char server_signature[SCRAM_KEY_MAX];
};

/* ---- which ---- */

static bool
fits(const struct kind *kind, const struct sasl_credentials *who)
{
	bool bearer = kind->family == XOAUTH2 || kind->family == OAUTHBEARER;

	if (kind->family == EXTERNAL)
		return who->has_certificate;
	if (who->user.len == 0 || who->is_token != bearer)
		return false;
	return !kind->binds || who->binding_data.len > 0;
}

static bool
is_offered(struct str offered, const char *name)
{
	struct str word;

	while (str_token(&offered, " \t", &word))
		if (str_ieq(word, str_from(name)))
			return true;
	return false;
}

bool
sasl_client_choose(struct str offered, const struct sasl_security *security,
		   const struct sasl_credentials *credentials,
		   bool (*filter)(void *arg, struct str name), void *filter_arg,
		   const char **mechanism_out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *name = kinds[i].name;
		unsigned properties = 0;

		if (!is_offered(offered, name) || !fits(&kinds[i], credentials) ||
		    !sasl_mechanism_find(str_from(name), &properties) ||
		    !sasl_security_allows(security, properties) ||
		    (filter != NULL && !filter(filter_arg, str_from(name))))
			continue;
		*mechanism_out = name;
		return true;
	}
	return false;
}

/* ---- SCRAM (RFC 5802) ---- */

/* "," and "=" would end a name. */
static struct str
escape_name(struct arena *mem, struct str name)
{
	struct buf *out = buf_new(mem, SASL_TEXT_MAX);

	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == ',')
			buf_add_c(out, "=2C");
		else if (name.p[i] == '=')
			buf_add_c(out, "=3D");
		else
			buf_add_char(out, name.p[i]);
	}
	return buf_str(out);
}

static void
prepare_scram(struct sasl_client *c)
{
	const struct sasl_credentials *w = &c->who;
	struct str name = escape_name(c->mem, w->user);
	struct str other = escape_name(c->mem, w->authzid);
	const char *flag = w->tls_has_binding ? "y" : "n";
	struct str type = STR_EMPTY;

	if (c->kind->binds) {
		flag = "p=";
		type = w->binding_type;
	}
	c->gs2 = str_printf(c->mem, "%s" PRI_STR ",%s" PRI_STR ",", flag, STR_ARG(type),
			    other.len > 0 ? "a=" : "", STR_ARG(other));
	c->bare = str_printf(c->mem, "n=" PRI_STR ",r=" PRI_STR, STR_ARG(name),
			     STR_ARG(c->nonce));
}

struct server_first {
	struct str nonce;
	struct str salt; /* raw */
	unsigned iterations;
};

static bool
parse_server_first(const struct sasl_client *c, struct arena *mem, struct str text,
		   struct server_first *out, struct err *err)
{
	struct str rest = text;
	struct str salt;
	struct str count;
	uint64_t n;

	if (!scram_take(&rest, 'r', &out->nonce) || !scram_take(&rest, 's', &salt) ||
	    !scram_take(&rest, 'i', &count))
		return err_set(err, ERR_PERM, "malformed SCRAM challenge");
	if (!str_starts(out->nonce, c->nonce) || out->nonce.len == c->nonce.len)
		return err_set(err, ERR_PERM, "the SCRAM challenge is not for us");
	if (!base64_decode(mem, salt, &out->salt) || out->salt.len == 0 ||
	    out->salt.len > SCRAM_SALT_MAX)
		return err_set(err, ERR_PERM, "bad salt in SCRAM challenge");
	if (!str_to_u64(count, SASL_ITERATIONS_MAX, &n) || n == 0)
		return err_set(err, ERR_PERM, "bad iteration count in SCRAM challenge");
	out->iterations = (unsigned)n;
	return true;
}

static bool
scram_final(struct sasl_client *c, struct arena *mem, struct str challenge,
	    struct str *response_out, struct err *err)
{
	size_t n = scram_key_bytes(c->kind->hash);
	struct server_first first;
	struct scram_keys keys;
	unsigned char proof[SCRAM_KEY_MAX];
	struct str bound;
	struct str message;
	struct str signed_text;

	if (!parse_server_first(c, mem, challenge, &first, err))
		return false;
	bound = c->kind->binds ? str_concat(mem, c->gs2, c->who.binding_data) : c->gs2;
	bound = base64_encode(mem, bound);
	message = str_printf(mem, "c=" PRI_STR ",r=" PRI_STR, STR_ARG(bound),
			     STR_ARG(first.nonce));
	signed_text = str_printf(mem, PRI_STR "," PRI_STR "," PRI_STR, STR_ARG(c->bare),
				 STR_ARG(challenge), STR_ARG(message));
	scram_derive(c->kind->hash, c->who.password, first.salt, first.iterations, &keys);
	scram_sign(c->kind->hash, keys.stored, signed_text, proof);
	for (size_t i = 0; i < n; i++)
		proof[i] ^= keys.client[i];
	scram_sign(c->kind->hash, keys.server, signed_text, c->server_signature);
	bound = base64_encode(mem, str_from_mem((const char *)proof, n));
	*response_out =
		str_printf(mem, PRI_STR ",p=" PRI_STR, STR_ARG(message), STR_ARG(bound));
	return true;
}

static bool
scram_check_server(struct sasl_client *c, struct arena *mem, struct str challenge,
		   struct err *err)
{
	size_t n = scram_key_bytes(c->kind->hash);
	struct str rest = challenge;
	struct str value;
	struct str raw;

	if (scram_take(&rest, 'e', &value)) {
		c->reason = str_dup(c->mem, value);
		return err_set(err, ERR_PERM, "server says: " PRI_STR,
			       STR_ARG(str_printable(mem, value, false)));
	}
	if (!scram_take(&rest, 'v', &value) || !base64_decode(mem, value, &raw) ||
	    raw.len != n ||
	    !scram_same((const unsigned char *)raw.p, c->server_signature, n))
		return err_set(err, ERR_PERM,
			       "the server does not know the password itself");
	c->is_done = true;
	return true;
}

static bool
step_scram(struct sasl_client *c, struct arena *mem, struct str challenge,
	   struct str *response_out, struct err *err)
{
	/* Without an initial response the server's first challenge is empty. */
	if (c->step == 0) {
		c->step = 1;
		if (challenge.len > 0)
			return err_set(err, ERR_PERM, "unexpected SCRAM challenge");
		*response_out = str_concat(mem, c->gs2, c->bare);
		return true;
	}
	if (c->step == 1) {
		c->step = 2;
		return scram_final(c, mem, challenge, response_out, err);
	}
	if (c->step++ != 2)
		return err_set(err, ERR_PERM, "unexpected SCRAM challenge");
	*response_out = STR_EMPTY;
	return scram_check_server(c, mem, challenge, err);
}

/* ---- the others ---- */

static struct str
plain_message(const struct sasl_client *c, struct arena *mem)
{
	const struct sasl_credentials *w = &c->who;
	struct buf *out = buf_new(mem, SASL_TEXT_MAX);

	buf_add(out, w->authzid);
	buf_add_char(out, '\0');
	buf_add(out, w->user);
	buf_add_char(out, '\0');
	buf_add(out, w->password);
	return buf_str(out);
}

static struct str
xoauth2_message(const struct sasl_client *c, struct arena *mem)
{
	return str_printf(mem, "user=" PRI_STR "\001auth=Bearer " PRI_STR "\001\001",
			  STR_ARG(c->who.user), STR_ARG(c->who.password));
}

static struct str
bearer_message(const struct sasl_client *c, struct arena *mem)
{
	const struct sasl_credentials *w = &c->who;
	struct str user = escape_name(mem, w->user);
	struct str host = STR_EMPTY;

	if (w->host.len > 0)
		host = str_printf(mem, "host=" PRI_STR "\001port=%u\001",
				  STR_ARG(w->host), w->port);
	return str_printf(
		mem, "n,a=" PRI_STR ",\001" PRI_STR "auth=Bearer " PRI_STR "\001\001",
		STR_ARG(user), STR_ARG(host), STR_ARG(w->password));
}

/* A challenge after the token tells why it was refused; the exchange must be ended. */
static bool
step_bearer(struct sasl_client *c, struct arena *mem, struct str challenge,
	    struct str *response_out, struct err *err)
{
	if (c->step == 0 && sasl_client_first(c, mem, response_out))
		return true;
	if (c->step++ > 1)
		return err_set(err, ERR_PERM, "unexpected challenge");
	c->reason = str_printable(c->mem, str_head(challenge, SASL_TEXT_MAX), true);
	*response_out = c->kind->family == OAUTHBEARER ? STR("\001") : STR_EMPTY;
	return true;
}

/* What the challenges say differs from server to server; their order does not. */
static bool
step_login(struct sasl_client *c, struct str *response_out, struct err *err)
{
	if (c->step > 1)
		return err_set(err, ERR_PERM, "unexpected LOGIN challenge");
	*response_out = c->step == 0 ? c->who.user : c->who.password;
	c->is_done = c->step++ == 1;
	return true;
}

static bool
step_cram(struct sasl_client *c, struct arena *mem, struct str challenge,
	  struct str *response_out, struct err *err)
{
	const struct sasl_credentials *w = &c->who;
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf *out;
	unsigned n = 0;

	if (c->step++ > 0 || challenge.len == 0)
		return err_set(err, ERR_PERM, "unexpected CRAM-MD5 challenge");
	if (HMAC(EVP_md5(), w->password.p, (int)w->password.len,
		 (const unsigned char *)challenge.p, challenge.len, digest, &n) == NULL)
		return err_set(err, ERR_PERM, "MD5 is not available");
	ensure(n == MD5_BYTES);
	out = buf_new(mem, SASL_TEXT_MAX);
	buf_add(out, w->user);
	buf_add_char(out, ' ');
	for (unsigned i = 0; i < n; i++)
		buf_printf(out, "%02x", digest[i]);
	*response_out = buf_str(out);
	c->is_done = true;
	return true;
}

/* One message, whether it goes with the command or after an empty challenge. */
static bool
step_single(struct sasl_client *c, struct arena *mem, struct str *response_out,
	    struct err *err)
{
	if (c->step == 0 && sasl_client_first(c, mem, response_out))
		return true;
	return err_set(err, ERR_PERM, "unexpected %s challenge", c->kind->name);
}

/* ---- the whole ---- */

bool
sasl_client_new(struct arena *mem, const char *mechanism,
		const struct sasl_credentials *credentials, const char *nonce,
		struct sasl_client **out, struct err *err)
{
	struct sasl_client *c = ARENA_NEW(mem, struct sasl_client);
	char fresh[SCRAM_NONCE_TEXT];

	c->mem = mem;
	c->who = *credentials;
	c->reason = STR_EMPTY;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].name, mechanism) == 0)
			c->kind = &kinds[i];
	ensure(c->kind != NULL);
	if (nonce == NULL) {
		if (!scram_nonce(fresh))
			return err_errno(err, ERR_TEMP, "random numbers");
		nonce = fresh;
	}
	c->nonce = str_dup(mem, str_from(nonce));
	if (c->kind->family == SCRAM)
		prepare_scram(c);
	*out = c;
	return true;
}

bool
sasl_client_first(struct sasl_client *c, struct arena *mem, struct str *response_out)
{
	switch (c->kind->family) {
	case LOGIN:
	case CRAM_MD5:
		return false;
	case PLAIN:
		*response_out = plain_message(c, mem);
		break;
	case SCRAM:
		*response_out = str_concat(mem, c->gs2, c->bare);
		break;
	case EXTERNAL:
		*response_out = c->who.authzid;
		break;
	case XOAUTH2:
		*response_out = xoauth2_message(c, mem);
		break;
	case OAUTHBEARER:
		*response_out = bearer_message(c, mem);
		break;
	}
	c->step = 1;
	c->is_done = c->kind->family != SCRAM;
	return true;
}

bool
sasl_client_step(struct sasl_client *c, struct arena *mem, struct str challenge,
		 struct str *response_out, struct err *err)
{
	if (challenge.len > SASL_TEXT_MAX)
		return err_set(err, ERR_PERM, "challenge too long");
	switch (c->kind->family) {
	case PLAIN:
	case EXTERNAL:
		return step_single(c, mem, response_out, err);
	case LOGIN:
		return step_login(c, response_out, err);
	case CRAM_MD5:
		return step_cram(c, mem, challenge, response_out, err);
	case SCRAM:
		return step_scram(c, mem, challenge, response_out, err);
	case XOAUTH2:
	case OAUTHBEARER:
		return step_bearer(c, mem, challenge, response_out, err);
	}
	panic("mechanism of no family");
}

struct str
sasl_client_reason(const struct sasl_client *c)
{
	return c->reason;
}

bool
sasl_client_is_satisfied(const struct sasl_client *c)
{
	return c->is_done && c->reason.len == 0;
}
