/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS sessions by id, each for a time, in memory. Beyond SESSIONS_MAX or SESSIONS_BYTES
 * the oldest goes. Time is an argument.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { SESSIONS_MAX = 20000, SESSIONS_BYTES = 64 << 20 };

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions **s);

void sessions_put(struct sessions *s, struct str id, struct str session, int64_t now_s,
		  int64_t seconds);
/* A view until the next call, or empty. */
struct str sessions_get(struct sessions *s, struct str id, int64_t now_s);
/* Drop those whose time is over. */
void sessions_expire(struct sessions *s, int64_t now_s);
size_t sessions_count(const struct sessions *s);
