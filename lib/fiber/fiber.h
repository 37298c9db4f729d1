/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fibers: functions with a small stack of their own that give way to the loop where they
 * would block. They run one at a time, in the loop's thread, and switch only inside calls
 * that say so ("blocks"). Between two such calls nothing else happens in the process.
 *
 * A fiber ends by returning from its function; its struct fiber is gone then. Whoever
 * wants to know of the end passes a struct event in arg.
 *
 * Cancelling: the call in which the fiber blocks fails, and so does every later one, so
 * that it unwinds by returning. A fiber that has not run yet still starts.
 *
 * Stacks: loop_set_stack_bytes(); below each is a guard page, so running over it is a
 * segmentation fault and not silent damage. On kernels that spend a mapping per guard
 * (before 6.13) only the first 16,384 stacks of a loop have one; the switch checks the
 * stack pointer of all. Stacks are pooled; memory of the pooled ones beyond the last few
 * goes back to the system. Not for fibers: alloca, arrays of unknown size, big locals.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "fiber/loop.h"

struct fiber;

/* Why a blocked fiber goes on. */
enum fiber_wake {
	FIBER_WOKEN,   /* what it waited for has happened */
	FIBER_TIMEOUT, /* the deadline has passed */
	FIBER_CANCELLED
};

/* A fiber that starts in the loop's next turn. The name (for traces, static or living as
 * long as the fiber) is not copied. NULL if there are too many fibers or no memory for a
 * stack. */
struct fiber *fiber_spawn(struct loop *loop, const char *name, void (*fn)(void *arg),
			  void *arg) MUST_CHECK;

/* The running fiber; NULL in callbacks and outside loop_run(). */
struct fiber *fiber_current(const struct loop *loop);
const char *fiber_name(const struct fiber *f);
struct loop *fiber_loop(const struct fiber *f);

/* Blocks for ms (< 0: until cancelled). False if cancelled. */
bool fiber_sleep(struct loop *loop, int64_t ms);

/* Blocks until the other ready fibers and descriptors had their turn. False if cancelled.
 */
bool fiber_yield(struct loop *loop);

/* Nothing happens if it is cancelled already. A fiber may cancel itself. */
void fiber_cancel(struct fiber *f);
bool fiber_is_cancelled(const struct fiber *f);

/* The ground under event.h and stream.h: block until fiber_unpark() or the deadline. */
enum fiber_wake fiber_park(struct loop *loop, int64_t deadline_ms);
/* As fiber_park() without a deadline, but cancelling does not end it. */
void fiber_park_shielded(struct loop *loop);
/* The fiber goes on in the next turn. False if it is not parked or about to go on for
 * another reason. */
bool fiber_unpark(struct fiber *f);

/* Fibers that exist. */
size_t fiber_count(const struct loop *loop);

/* Give back the memory of the running fiber's stack that lies below its present depth:
 * before a long wait that follows deep calls (a TLS handshake). */
void fiber_trim_stack(struct loop *loop);
