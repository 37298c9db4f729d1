/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A hash map from byte strings to pointers. Keys are copied; values are the caller's.
 * The hash is seeded per map. Iteration is in the order of insertion.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct map;

struct map_entry {
	struct str key;
	void *value;
};

/* Free with map_free(); the values are not touched. */
struct map *map_new(void) __attribute__((returns_nonnull));
void map_free(struct map **m);

/* A map that ends with the arena. */
struct map *map_new_in(struct arena *mem) __attribute__((returns_nonnull));

/* The value, or NULL if there is none. */
void *map_find(const struct map *m, struct str key);

/* Set or replace; value must not be NULL. Returns the old value or NULL. */
void *map_set(struct map *m, struct str key, void *value);

/* Returns the value that was there, or NULL. */
void *map_remove(struct map *m, struct str key);

size_t map_count(const struct map *m);

/* Walk: size_t at = 0; while ((e = map_next(m, &at)) != NULL). Removing the entry that
 * was just returned is allowed, adding is not. */
const struct map_entry *map_next(const struct map *m, size_t *at);
