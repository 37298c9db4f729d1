/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The loop of a process: it waits for descriptors, timers, signals and children, and runs
 * the fibers that became ready (fiber.h). A loop belongs to the thread that runs it; no
 * call here may come from another thread. Several loops may live in one process (tests).
 *
 * Callbacks (watch, timer, signal, child) run on the loop's own stack: they must not call
 * anything that blocks a fiber. They may wake, spawn and cancel fibers.
 *
 * Times: a *deadline* is an absolute time of loop_now_ms(), LOOP_FOREVER is none. The
 * clock is monotonic.
 *
 * loop_new() ignores SIGPIPE for the whole process: a peer that went away is an error of
 * the write. Misuse (blocking outside a fiber, running a loop inside itself) panics.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/heap.h"
#include "base/macros.h"

struct loop;

enum { LOOP_STACK_BYTES = 64 * 1024 };
#define LOOP_FOREVER INT64_MAX

struct loop *loop_new(void) __attribute__((returns_nonnull));

/* Usable stack of the fibers that are spawned later, rounded up to pages; before the
 * first fiber_spawn(). Default LOOP_STACK_BYTES (four times that under ASan). */
void loop_set_stack_bytes(struct loop *loop, size_t bytes);

/* Fibers that may exist at once; fiber_spawn() beyond it fails. Default 200,000. */
void loop_set_max_fibers(struct loop *loop, size_t count);

/* Until loop_stop(), or until no fiber, timer, watch or child is left (signal watchers
 * alone do not keep a loop running). May be called again afterwards. */
void loop_run(struct loop *loop);

/* loop_run() returns at the end of its present turn. */
void loop_stop(struct loop *loop);

/* The monotonic clock in milliseconds. */
int64_t loop_now_ms(const struct loop *loop);

/* now + ms without overflow; ms < 0 gives LOOP_FOREVER. */
int64_t loop_deadline_ms(const struct loop *loop, int64_t ms);

/* Cancels the fibers that are left and runs them until they have returned, so that what
 * they use can be freed. Not inside loop_run(). */
void loop_end_fibers(struct loop *loop);

/* Cancels the fibers that are left, runs them until they have returned, frees everything.
 * A fiber that waits for something outside (offload_run) is waited for. */
void loop_free(struct loop **loop);

/* In a forked child that goes on to run other code: close the descriptors of the loop and
 * give the signals that it watched their default meaning. Nothing else is touched, and
 * the child must not use the loop in any other way. */
void loop_forget_in_child(struct loop *loop);

/* Call fn when the signal arrives, from the loop, not from the handler. One watcher per
 * signal; a second call replaces it; fn NULL restores the default meaning. */
void loop_on_signal(struct loop *loop, int sig, void (*fn)(int sig, void *arg),
		    void *arg);

/* Call fn once with the wait status when the child pid has ended; the child is reaped.
 * SIGCHLD is not used and other children are not touched. */
void loop_on_child(struct loop *loop, pid_t pid,
		   void (*fn)(pid_t pid, int status, void *arg), void *arg);

/* A timer, embedded in its owner. */
struct timer {
	struct heap_node node; /* private */
	struct loop *loop;
	void (*fn)(struct timer *t, void *arg);
	void *arg;
};

void timer_init(struct timer *t, struct loop *loop, void (*fn)(struct timer *, void *),
		void *arg);
/* Fires once, ms from now (<= 0: next turn). Starting a running timer moves it. */
void timer_start_ms(struct timer *t, int64_t ms);
/* Fires once at the deadline; LOOP_FOREVER stops it. */
void timer_start_at(struct timer *t, int64_t deadline_ms);
void timer_stop(struct timer *t);
bool timer_is_active(const struct timer *t);

enum { WATCH_READ = 1u << 0, WATCH_WRITE = 1u << 1 };

/* A descriptor that is watched, embedded in its owner. Level-triggered: fn is called each
 * turn while the descriptor is ready. Stop it before the descriptor is closed:
 * libev aborts on a watched descriptor that is not open. */
struct watch {
	uint64_t private[6];
	struct loop *loop;
	void (*fn)(struct watch *w, unsigned ready, void *arg);
	void *arg;
};

/* events: WATCH_READ, WATCH_WRITE or both. */
void watch_init(struct watch *w, struct loop *loop, int fd, unsigned events,
		void (*fn)(struct watch *, unsigned, void *), void *arg);
void watch_start(struct watch *w);
void watch_stop(struct watch *w);
bool watch_is_active(const struct watch *w);
