/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The verified names of the clients of the last seconds. Who sends much connects again
 * and again, and would be looked up each time: two questions to the resolver, and the
 * hosts file read twice. Only names that lead back to their address are kept, and so
 * briefly that nobody who changes a name has to know of it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct names;

enum {
	NAMES_MS = 5000, /* a name is kept */
	NAMES_MAX = 256, /* of so many clients */
};

/* Lives as long as the arena. */
struct names *names_new(struct arena *mem);

/* The name of an address, in mem. now: loop_now_ms(). */
bool names_find(const struct names *n, struct arena *mem, struct str address,
		int64_t now_ms, struct str *name_out);

/* Both are copied. A name longer than a host name can be is not kept. */
void names_add(struct names *n, struct str address, struct str name, int64_t now_ms);
