/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Running a function that blocks the whole thread (fdatasync, getpwnam, opening something
 * slow) in a helper thread while only the calling fiber waits.
 *
 * The function runs outside the loop: it must not touch the loop, fibers, streams or
 * arenas that others use meanwhile; it gets what it needs through arg. Helper threads
 * have all signals blocked and start with the first job, so they inherit the sandbox.
 */

#include "base/macros.h"
#include "fiber/loop.h"

struct offload;

/* At most so many functions at once; more wait in order. threads 0: no helper, the
 * function runs in place and blocks the loop (simulation). If no thread can be made the
 * function runs in place too. */
struct offload *offload_new(struct loop *loop, unsigned threads)
	__attribute__((returns_nonnull));

/* Blocks until fn(arg) has returned. Cancelling the fiber does not end the wait, because
 * fn may be using arg: the next blocking call fails instead. Outside a fiber fn runs in
 * place. */
void offload_run(struct offload *o, void (*fn)(void *arg), void *arg);

/* No offload_run() may be under way. Ends the threads. Before loop_free(). */
void offload_free(struct offload **o);
