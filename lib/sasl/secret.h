/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a password table has behind a user's name: a hash of crypt(3) ("$6$...", "$y$...",
 * "$2b$..."), or SCRAM keys (RFC 5803's content in the form that others use, too):
 *
 *	{SCRAM-SHA-256}4096,c2FsdA==,storedkey,serverkey
 *
 * and making and checking them. Checking takes time on purpose: call secret_matches() in
 * a thread. Comparison takes the same time for right and wrong.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

struct arena;

enum {
	SECRET_KEY_BYTES = 32, /* of SHA-256 */
	SECRET_SALT_MAX = 64,
	SECRET_ROW_MAX = 1024,
	SECRET_PASSWORD_MAX = 512, /* CRYPT_MAX_PASSPHRASE_SIZE */
	SECRET_ITERATIONS = 4096,  /* of new rows; RFC 7677's least */
	SECRET_ITERATIONS_MAX = 1000000,
};

enum secret_kind { SECRET_CRYPT, SECRET_SCRAM };

struct secret {
	enum secret_kind kind;
	char hash[SECRET_ROW_MAX]; /* SECRET_CRYPT, ends in NUL */
	unsigned iterations;
	unsigned char salt[SECRET_SALT_MAX];
	size_t salt_len;
	unsigned char stored_key[SECRET_KEY_BYTES];
	unsigned char server_key[SECRET_KEY_BYTES];
};

/* "{CRYPT}" before a hash is allowed. False (ERR_CONFIG) without the text itself: it
 * would be in the log. */
bool secret_parse(struct str row, struct secret *out, struct err *err) MUST_CHECK;

/* A row that fits no password, but looks the same each time for the same user: its salt
 * comes from the key. */
void secret_decoy(struct str user, const unsigned char key[SECRET_KEY_BYTES],
		  enum secret_kind kind, struct secret *out);

/* Slow. Thread-safe. */
bool secret_matches(const struct secret *secret, struct str password);

/* A new row for the password. scram: SCRAM keys, else crypt(3) with the method that
 * libcrypt prefers (yescrypt). Slow. */
bool secret_make(struct arena *mem, struct str password, bool scram, struct str *row_out,
		 struct err *err) MUST_CHECK;
