/* SPDX-License-Identifier: Apache-2.0 */
/* What a Dovecot authentication server says, line by line; and rows of passwords. */
#include "fuzz.h"

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"

#include "sasl/dovecot_reply.h"
#include "sasl/mechanism.h"
#include "sasl/secret.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from_mem((const char *)data, size);
	struct arena *mem = arena_new();
	struct dovecot_reply reply;
	struct secret secret;
	struct str line;
	struct err err;

	while (str_line(&rest, &line)) {
		if (dovecot_reply_parse(mem, line, &reply)) {
			ensure(reply.user.len <= line.len && reply.text.len <= line.len);
			ensure(reply.kind != DOVECOT_MECH ||
			       sasl_name_is_valid(reply.text));
		}
		if (secret_parse(line, &secret, &err) && secret.kind == SECRET_SCRAM)
			ensure(secret.iterations > 0 &&
			       secret.iterations <= SECRET_ITERATIONS_MAX &&
			       secret.salt_len <= SECRET_SALT_MAX);
	}
	arena_free(&mem);
	return 0;
}
