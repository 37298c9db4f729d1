/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What clients have passed, by address: in memory, and in a file so that it outlives the
 * process. The file is text: a first line "hikyaku-postscreen 1", then "ADDRESS N N N N
 * N" with a number per test (tests.h); a later line for an address replaces an earlier
 * one. A line is appended by one write, so two processes (a reload) may share the file;
 * cleaning writes a new one and renames it.
 *
 * The file is a help and no more: what is damaged in it is skipped, what cannot be
 * written is a client that is tested again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "tests.h"

struct cache;

enum { CACHE_CLIENTS_MAX = 1000000, CACHE_FILE_MAX = 256 << 20 };

/* path NULL: in memory only; else it is kept by reference. */
struct cache *cache_new(const char *path) __attribute__((returns_nonnull));
void cache_free(struct cache **c);

/* Read the file, if there is one, and go on writing it. On failure the cache works in
 * memory only. */
bool cache_load(struct cache *c, struct err *err) MUST_CHECK;

bool cache_find(const struct cache *c, struct str address, struct stamps *out);

/* False: it is kept in memory, but not in the file; or not at all when there are
 * CACHE_CLIENTS_MAX already. */
bool cache_store(struct cache *c, struct str address, const struct stamps *s,
		 struct err *err) MUST_CHECK;

/* Forget clients whose last result ended before `oldest` (seconds since 1970), and write
 * the file anew. */
bool cache_clean(struct cache *c, int64_t oldest, size_t *retained_out,
		 size_t *dropped_out, struct err *err) MUST_CHECK;
