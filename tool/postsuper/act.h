/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What postsuper does to one message: remove, hold, release, requeue, expire.
 *
 * The mail system runs meanwhile, and its queue manager moves files. So every step is one
 * system call on a name that may be gone by then; a message that moved is looked for
 * again, a few times. Nothing is ever overwritten.
 *
 * A file that is still being written is no message yet and is left alone. (Postfix's -d
 * ALL, -h ALL and -r ALL take it too; its sender may be told "queued" afterwards.)
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "queue/dir.h"

struct arena;
struct log;

enum act {
	ACT_REQUEUE, /* to maildrop: pickup and cleanup take it like new */
	ACT_DELETE,  /* the message and its logs */
	ACT_EXPIRE,  /* to be returned at the next occasion */
	ACT_HOLD,
	ACT_RELEASE, /* from hold to deferred */
	ACTS
};

struct act_scope {
	const struct queue_dirs *dirs;
	uint32_t queues; /* bit 1u << enum queue_name: where to look */
	struct log *log;
};

enum act_result { ACT_DONE, ACT_NOTHING, ACT_FAILED };

/* Is this a queue that the act takes messages from? */
bool act_applies(enum act a, enum queue_name q);

/* The message of this id in this queue. ACT_NOTHING: it is not there, is not complete, or
 * is already as wanted. */
enum act_result act_on_file(const struct act_scope *s, enum act a, enum queue_name q,
			    struct str id, struct err *err);

/* The message of this id, wherever it is among the queues; logs a line when done. False
 * with err: the queue cannot be changed. *done_out: did anything change? */
bool act_on_id(const struct act_scope *s, enum act a, struct str id, bool *done_out,
	       struct err *err) MUST_CHECK;

/* "Deleted" for the totals. */
const char *act_total_name(enum act a);
