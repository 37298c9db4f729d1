/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The pool of fiber stacks of a loop.
 *
 * Stacks are carved from areas of STACK_AREA_COUNT, one mmap each. Below every stack is a
 * guard page. A guard made by mprotect(2) costs two mappings per stack and a process has
 * 65,530 of them, so those are spent on the first STACK_GUARD_MAX stacks only, and areas
 * after that have one guard at their end; with MADV_GUARD_INSTALL (Linux 6.13) a guard
 * costs no mapping and all have one. Huge pages are turned off: touching one page of a
 * stack must cost one page.
 *
 * The STACK_HOT_MAX stacks released last keep their memory, because the next session
 * takes it at once; others give it back to the system. Areas are unmapped at the end.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

enum { STACK_AREA_COUNT = 64, STACK_HOT_MAX = 256, STACK_GUARD_MAX = 16384 };

struct stack {
	char *base; /* lowest usable byte */
	size_t bytes;
	struct stack *next; /* in the pool: the next free one */
	unsigned valgrind_id;
};

struct stack_area;

struct stack_pool {
	size_t stack_bytes;
	size_t page_bytes;
	size_t hot_count;
	size_t guarded;
	bool no_cheap_guard;
	struct stack *hot;
	struct stack *cold;
	struct stack_area *areas;
};

void stack_pool_init(struct stack_pool *pool, size_t stack_bytes);
/* All stacks must have been released. */
void stack_pool_release(struct stack_pool *pool);

/* NULL if the system has no memory or mappings left. */
struct stack *stack_get(struct stack_pool *pool) MUST_CHECK;
void stack_put(struct stack_pool *pool, struct stack *s);

/* Give back the memory below the address, which is in the stack. */
void stack_trim(struct stack_pool *pool, struct stack *s, const void *below);
