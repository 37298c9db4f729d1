/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The keys of session tickets: one that encrypts, and the one before it, which only
 * decrypts until the last ticket made with it has run out. Time is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
	KEY_BYTES = 80,                 /* name, cipher and MAC key (tls/context.h) */
	KEY_SECONDS_MAX = 7 * 24 * 3600 /* no key encrypts longer */
};

struct key {
	unsigned char secret[KEY_BYTES];
	int64_t encrypts_until; /* 0: there is none */
	int64_t decrypts_until;
};

struct keys {
	struct key now;
	struct key before;
};

/* Have a key in `now` that may encrypt at time `now_s`; a new one serves for `seconds`,
 * which is also the life of a ticket. Fails when there is no entropy to be had. */
bool keys_refresh(struct keys *k, int64_t now_s, int64_t seconds,
		  struct err *err) MUST_CHECK;
