/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Heap memory that never fails visibly: no memory ends the process (see panic.h).
 * For memory with a lifetime use an arena (arena.h); this is for objects that outlive
 * every arena and for the arenas themselves.
 */

#include <stddef.h>

#include "base/macros.h"

/* size bytes, zeroed; size 0 gives a unique pointer. Free with mem_free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* count elements of size bytes, zeroed; the product is checked. */
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Grow or shrink; new bytes are not zeroed. p may be NULL. */
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));

/* A copy of the C string s. */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* NULL is allowed. */
void mem_free(void *p);

/* a + b and a * b; a sum or product that does not fit ends the process. */
size_t mem_size_add(size_t a, size_t b);
size_t mem_size_mul(size_t a, size_t b);
