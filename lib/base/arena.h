/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory with a lifetime: process, connection, transaction, message, delivery attempt.
 *
 * Everything taken from an arena ends with it, in reverse order, together with what was
 * tied to it by arena_defer(). So error paths have nothing to free. An arena belongs to
 * one thread. A function that returns memory takes `struct arena *mem` first.
 */

#include <stddef.h>

#include "base/macros.h"

struct arena;

struct arena *arena_new(void) __attribute__((returns_nonnull));

/* Ends everything in *mem and leaves NULL there; *mem may be NULL. */
void arena_free(struct arena **mem);

/* An arena that ends with its parent at the latest. Freeing it early is allowed. */
struct arena *arena_new_child(struct arena *parent) __attribute__((returns_nonnull));

/* Ends everything in the arena but keeps the arena itself (and a first chunk) for reuse.
 */
void arena_reset(struct arena *mem);

/* size bytes, zeroed, aligned for any type. */
void *arena_alloc(struct arena *mem, size_t size) __attribute__((returns_nonnull));

/* count elements of size bytes, zeroed; the product is checked. */
void *arena_alloc_array(struct arena *mem, size_t count, size_t size)
	__attribute__((returns_nonnull));

/* A copy of size bytes with a NUL after them. */
void *arena_memdup(struct arena *mem, const void *p, size_t size)
	__attribute__((returns_nonnull));

/* A copy of the C string s. */
char *arena_strdup(struct arena *mem, const char *s) __attribute__((returns_nonnull));

/* Call fn(p) when the arena ends; the last one registered is called first. */
void arena_defer(struct arena *mem, void (*fn)(void *p), void *p);

/* Close the descriptor when the arena ends. */
void arena_defer_close(struct arena *mem, int fd);

/* What the arena's owner wants whoever uses it, or a descendant of it, to find: one
 * thing, by a key that is an address. Stays over arena_reset(); NULL where there is
 * none. */
void arena_set_note(struct arena *mem, const void *key, const void *note);
const void *arena_note(const struct arena *mem, const void *key);

/* Bytes handed out since creation or the last reset. */
size_t arena_used(const struct arena *mem);

/* Allocate one object of a type: struct foo *f = ARENA_NEW(mem, struct foo); */
#define ARENA_NEW(mem, T) ((T *)arena_alloc((mem), sizeof(T)))
