/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of lib/fiber know of a loop. Only they see libev.
 */

#include <ev.h>
#include <signal.h>

#include "base/list.h"
#include "fiber/context_internal.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/stack_internal.h"

struct loop_signal; /* loop_process.c */

struct loop {
	struct ev_loop *ev;
	struct ev_timer tick;  /* fires when the first of timers is due */
	struct ev_async alarm; /* rung by other threads */
	void (*alarm_fn)(struct loop *loop, void *arg);
	int64_t tick_ms; /* what tick is set to, LOOP_FOREVER if it is not */
	struct heap timers;
	size_t active; /* watches and children that keep the loop running */
	bool running;
	bool stop;

	/* fiber.c */
	struct context home;
	struct fiber *current;
	struct list ready;
	struct list fibers; /* all of them */
	size_t fiber_count;
	size_t fiber_max;
	struct stack_pool stacks;

	/* offload.c: jobs that have come back */
	struct list offloads;

	/* loop_process.c */
	struct loop_signal *signals[NSIG];
	struct list children;
};

void loop_fibers_init(struct loop *loop);
/* Run each fiber that is ready now, once. */
void loop_fibers_run(struct loop *loop);
void loop_fibers_cancel(struct loop *loop);
void loop_fibers_release(struct loop *loop);

void loop_process_init(struct loop *loop);
void loop_process_release(struct loop *loop);

/* From any thread: have offload.c look for finished jobs. */
void loop_ring(struct loop *loop);
void loop_offloads_collect(struct loop *loop);
