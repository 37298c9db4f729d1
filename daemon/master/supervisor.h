/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keeps the services of a plan running.
 *
 *	IDLE	 nobody runs; the supervisor watches the sockets and starts the service
 *		 when a client comes or the wake-up time has come
 *	UP	 its processes run and take the clients themselves
 *	PAUSED	 one or more ended badly; a timer starts them again: at once the first
 *		 time, then after 1, 2, 4 ... seconds up to service_throttle_time; that
 *		 at once if it never became ready (throttling)
 *	WAITING	 the generation before it must be gone first
 *
 * A reload makes services from the new plan; the processes of the old one are told to
 * finish and belong to no service until they are gone. A process that never ran long
 * enough does not get the back-off forgotten, so a failing daemon costs next to nothing.
 *
 * Stopping: qmgr first, so that results of deliveries still reach it; then all others;
 * the log writer last.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#include "plan.h"

struct log;
struct loop;
struct supervisor;

struct supervisor_options {
	struct loop *loop;
	struct log *log;
	uid_t owner;   /* of UNIX sockets */
	int null_fd;   /* open on /dev/null */
	int output_fd; /* for postlogd with /dev/stdout: our standard output, or -1 */
	/* Each time the log's writer is ready, or could not start. */
	void (*logger_settled)(void *arg);
	void (*stopped)(void *arg); /* the last process is gone after supervisor_stop() */
	void *arg;
};

/* Takes the plan. Opens all sockets; an error starts nothing (and leaves the plan). */
struct supervisor *supervisor_start(const struct supervisor_options *options,
				    struct plan *plan, struct err *err) MUST_CHECK;

/* Takes the plan if it succeeds; otherwise everything stays as it was. */
bool supervisor_reload(struct supervisor *s, struct plan *plan,
		       struct err *err) MUST_CHECK;

const struct plan *supervisor_plan(const struct supervisor *s);

/* Is a writer of the log being started, of which logger_settled() will tell? */
bool supervisor_awaits_logger(const struct supervisor *s);

/* Some child has ended (SIGCHLD): reap all that did, also strangers (as PID 1). */
void supervisor_reap(struct supervisor *s);

void supervisor_stop(struct supervisor *s);

/* Nothing may run any more. */
void supervisor_free(struct supervisor **s);
