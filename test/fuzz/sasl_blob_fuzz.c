/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the other side of a log-in says. The first byte is the mechanism; then messages,
 * one per line, raw: to our client as challenges and to our server as responses.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"
#include "base/str.h"

#include "mail/base64.h"
#include "sasl/client.h"
#include "sasl/verifier.h"

enum { ITERATIONS_DIGITS = 2 };

static const char *const mechanisms[] = {
	"PLAIN",    "LOGIN",   "SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS",
	"EXTERNAL", "XOAUTH2", "OAUTHBEARER",   "CRAM-MD5",
};

/* Time that a server may cost us is bounded, but not for a fuzzer. */
static bool
is_cheap(struct str challenge)
{
	size_t at = str_find(challenge, STR(",i="));

	return challenge.len - at <= STR(",i=").len + ITERATIONS_DIGITS;
}

static void
run_client(struct arena *mem, const char *mechanism, struct str rest)
{
	struct sasl_credentials who = {.authzid = STR_EMPTY,
				       .user = STR("user"),
				       .password = STR("pencil"),
				       .host = STR("h"),
				       .binding_type = STR("tls-exporter"),
				       .binding_data = STR("x")};
	struct sasl_client *c;
	struct str out;
	struct str line;
	struct err err;

	ensure(sasl_client_new(mem, mechanism, &who, "rOprNGfwEbeRWgbNEkqO", &c, &err));
	IGNORE(sasl_client_first(c, mem, &out));
	while (str_line(&rest, &line))
		if (!is_cheap(line) || !sasl_client_step(c, mem, line, &out, &err))
			break;
	IGNORE(sasl_client_is_satisfied(c));
}

static void
run_server(struct arena *mem, const char *mechanism, struct str rest)
{
	static const unsigned char key[SECRET_KEY_BYTES] = {1};
	struct verifier *v =
		verifier_new(mem, str_from(mechanism), "%hvYDpWUa2RaTCAfuxF");
	enum verifier_status status;
	struct secret keys;
	struct str line;
	struct str out;

	if (v == NULL)
		return;
	while (str_line(&rest, &line)) {
		status = verifier_step(v, &line, &out);
		if (status == VERIFIER_LOOKUP) {
			secret_decoy(verifier_user(v), key, SECRET_SCRAM, &keys);
			status = verifier_supply(v, &keys, &out);
		}
		/* Nobody knows the key of a decoy. */
		ensure(status != VERIFIER_DONE);
		ensure(status != VERIFIER_CHECK || verifier_user(v).len > 0);
		if (status != VERIFIER_MORE)
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem((const char *)data, size);
	struct str raw;

	if (size > 0) {
		const char *mechanism = mechanisms[data[0] % ARRAY_LEN(mechanisms)];

		run_client(mem, mechanism, str_skip(text, 1));
		run_server(mem, mechanism, str_skip(text, 1));
		IGNORE(base64_decode(mem, str_skip(text, 1), &raw));
	}
	arena_free(&mem);
	return 0;
}
