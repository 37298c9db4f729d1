/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Group commit: fibers that each wait for something to be on disk share one call that
 * takes long. A commit covers what had gathered before it began; what comes meanwhile is
 * covered by the next one, which begins as soon as this one is over. There is no timer: a
 * lone fiber waits for nobody.
 *
 * A fiber leads: of those that wait, one hands the call to the helper thread. So nothing
 * runs when nobody waits.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct group;
struct loop;

/* Make durable whatever the waiting fibers changed, and `bytes`: what they handed over,
 * in order. Runs in the helper thread, one call at a time. False: all who wait in this
 * batch fail. */
typedef bool group_commit_fn(void *arg, struct str bytes, struct err *err);

/* bytes_max: what one batch may gather; who comes when it is full fails (ERR_PERM). */
struct group *group_new(struct loop *loop, size_t bytes_max, group_commit_fn *commit,
			void *arg) __attribute__((returns_nonnull));
/* Nobody may be waiting. Before loop_free(). */
void group_free(struct group **g);

/* Blocks until a commit that began after this call has ended. False with its error when
 * it failed, with ERR_TEMP when the fiber was cancelled: the bytes may be on disk
 * nevertheless. */
bool group_join(struct group *g, struct str bytes, struct err *err) MUST_CHECK;
