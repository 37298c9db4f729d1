/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Waiting for another fiber: an event says "look again", a gate lets only so many in.
 * Both are embedded in their owner, which must outlive the waiters. No allocation.
 *
 * An event has no memory: a signal without waiters is lost. Wait in a loop around the
 * condition:
 *
 *	while (!job->done)
 *		if (event_wait(&job->changed, deadline) != FIBER_WOKEN)
 *			return ...;
 */

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"
#include "fiber/fiber.h"

struct event {
	struct loop *loop;
	struct list waiters;
};

void event_init(struct event *e, struct loop *loop);
/* Blocks until signalled, the deadline (LOOP_FOREVER: none) or cancelled. */
enum fiber_wake event_wait(struct event *e, int64_t deadline_ms) MUST_CHECK;
/* Wake the fiber that has waited longest, or all. Callbacks may do this too. */
void event_signal_one(struct event *e);
void event_signal_all(struct event *e);
bool event_has_waiters(const struct event *e);

struct gate {
	struct event queue;
	size_t limit;
	size_t inside;
};

/* limit: fibers that may be inside at once. */
void gate_init(struct gate *g, struct loop *loop, size_t limit);
/* Blocks until there is room, first come first served. FIBER_WOKEN means inside: the
 * caller owes a gate_leave(). Anything else means outside. */
enum fiber_wake gate_enter(struct gate *g, int64_t deadline_ms) MUST_CHECK;
/* Inside without waiting, or false. */
bool gate_try_enter(struct gate *g) MUST_CHECK;
/* From any fiber or callback. */
void gate_leave(struct gate *g);
/* A lower limit takes effect as fibers leave. */
void gate_set_limit(struct gate *g, size_t limit);
