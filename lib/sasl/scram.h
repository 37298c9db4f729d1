/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What both sides of SCRAM need (RFC 5802): its keys and the parts of its messages. Pure,
 * but for scram_nonce().
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/str.h"

enum { SCRAM_KEY_MAX = 32, SCRAM_NONCE_TEXT = 25 };

enum scram_hash { SCRAM_SHA1, SCRAM_SHA256 };

size_t scram_key_bytes(enum scram_hash hash);

struct scram_keys {
	unsigned char client[SCRAM_KEY_MAX];
	unsigned char stored[SCRAM_KEY_MAX];
	unsigned char server[SCRAM_KEY_MAX];
};

/* Slow: iterations rounds. */
void scram_derive(enum scram_hash hash, struct str password, struct str salt,
		  unsigned iterations, struct scram_keys *out);

/* HMAC(key, text), scram_key_bytes() long. */
void scram_sign(enum scram_hash hash, const unsigned char *key, struct str text,
		unsigned char *out);

/* H(key). */
void scram_stored(enum scram_hash hash, const unsigned char *client_key,
		  unsigned char *out);

/* The same bytes? In a time that does not depend on them. */
bool scram_same(const unsigned char *a, const unsigned char *b, size_t n);

/* "r=..." at the beginning of *rest: its value; *rest is what follows the comma. */
bool scram_take(struct str *rest, char name, struct str *value_out) MUST_CHECK;

/* 24 random letters (144 bits) that ends in NUL. False: the system gives none. */
bool scram_nonce(char out[SCRAM_NONCE_TEXT]) MUST_CHECK;
