/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What loop.c, fiber.c and stack.c share.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"

#include "fiber/fiber.h"

struct ev_loop;
struct stack_pool;

enum fiber_state {
	FIBER_READY, /* in the ready list */
	FIBER_RUNNING,
	FIBER_PARKED,   /* waits; cancelling ends it */
	FIBER_SHIELDED, /* waits; cancelling does not end it */
	FIBER_ENDED,
};

struct fiber {
	struct list link;     /* in loop.ready */
	struct list all_link; /* in loop.all */
	struct timer timer;   /* the deadline of a park */
	struct loop *loop;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	void *sp; /* saved stack pointer */
	char *stack;
	enum fiber_state state;
	enum fiber_wake wake; /* why it goes on */
	bool cancelled;
	void *asan_stack; /* AddressSanitizer's handle */
};

struct loop {
	struct ev_loop *ev;
	struct heap timers;
	struct list ready;
	struct list all;
	struct fiber *current;
	struct fiber *ended; /* its stack can be given back now */
	struct stack_pool *stacks;
	struct signal_watch *signals;
	void *sp;                /* of the loop itself while a fiber runs */
	const void *asan_bottom; /* the loop's own stack */
	size_t asan_size;
	void *asan_stack;
	size_t max_fibers;
	size_t n_fibers;
	size_t n_watches; /* watches and children that keep the loop running */
	bool stop;
	bool running;
};

/* Save the present context in *save_sp and go on at load_sp. */
void fiber_switch(void **save_sp, void *load_sp);
/* The stack pointer of a context that will call entry(arg) on the stack whose end is top.
 */
void *fiber_context_make(char *top, void (*entry)(void *arg), void *arg);

/* ---- stacks ---- */

struct stack_pool *stack_pool_new(size_t bytes);
void stack_pool_free(struct stack_pool **pool);
size_t stack_pool_bytes(const struct stack_pool *pool);
/* The lowest usable byte, NULL if there is no memory. */
char *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, char *stack);

/* Run every fiber that is ready now. */
void fiber_run_ready(struct loop *loop);
