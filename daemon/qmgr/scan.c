/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking through incoming and deferred. New mail is usually announced by cleanup;
 * scanning finds what was not (after a start, when active was full), and what is due
 * again.
 */
#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"

#include "qmgr.h"

enum { TURN = 50 }; /* files between two chances for the others */

void
scan_want(struct qmgr *q, unsigned want)
{
	q->scan_wanted |= want;
	event_signal_all(&q->scan);
}

bool
scan_recover(struct qmgr *q, struct err *err)
{
	struct queue_scan *scan = queue_scan_new(&q->dirs, QUEUE_ACTIVE);
	struct arena *mem = arena_new();
	bool ok = queue_scan_error(scan) == 0 ||
		  err_set(err, ERR_TEMP, "cannot read the active queue");
	struct str id;

	while (ok && queue_scan_next(scan, mem, &id)) {
		ok = queue_set_time(&q->dirs, QUEUE_ACTIVE, id, sys_now_us(), err) &&
		     queue_move(&q->dirs, QUEUE_ACTIVE, QUEUE_INCOMING, id, err);
		arena_reset(mem);
	}
	queue_scan_free(&scan);
	arena_free(&mem);
	return ok;
}

/* Is it complete, and is it time? */
static bool
is_due(struct qmgr *q, enum queue_name from, struct str id, bool ignore_time)
{
	struct arena *mem = arena_new();
	struct str warning = STR_EMPTY;
	struct stat st;
	bool due = false;

	switch (queue_check(mem, &q->dirs, from, id, &st, &warning)) {
	case QUEUE_FILE_READY:
		due = ignore_time || st.st_mtime <= sys_now_us() / 1000000 + 1;
		break;
	case QUEUE_FILE_STRANGE:
		log_warning(q->daemon->log, PRI_STR, STR_ARG(warning));
		break;
	case QUEUE_FILE_INCOMPLETE:
	case QUEUE_FILE_GONE:
		break;
	}
	arena_free(&mem);
	return due;
}

/* Wait until there is room. False: we are to stop. */
static bool
wait_for_room(struct qmgr *q)
{
	while (!active_has_room(q)) {
		if (q->daemon->draining ||
		    event_wait(&q->scan, LOOP_FOREVER) == FIBER_CANCELLED)
			return false;
	}
	return !q->daemon->draining;
}

static void
scan_queue(struct qmgr *q, enum queue_name from, unsigned want)
{
	struct queue_scan *scan = queue_scan_new(&q->dirs, from);
	struct arena *mem = arena_new();
	struct str id;
	int n = 0;

	while (wait_for_room(q) && queue_scan_next(scan, mem, &id)) {
		if (is_due(q, from, id, (want & SCAN_IGNORE_TIME) != 0))
			active_take(q, from, id, -1, (want & SCAN_FLUSH) != 0);
		arena_reset(mem);
		if (++n % TURN == 0 && !fiber_yield(q->daemon->loop))
			break;
	}
	if (queue_scan_error(scan) != 0)
		log_error(q->daemon->log, "scan of queue %s is not complete",
			  queue_directory_name(from));
	queue_scan_free(&scan);
	arena_free(&mem);
}

void
scan_run(void *arg)
{
	struct qmgr *q = arg;
	struct loop *loop = q->daemon->loop;

	q->scan_wanted = SCAN_INCOMING | SCAN_DEFERRED;
	q->next_deferred_scan_ms =
		loop_deadline_ms(loop, q->config.queue_run_delay * 1000);
	while (!q->daemon->draining) {
		unsigned want = q->scan_wanted;

		q->scan_wanted = 0;
		if (loop_now_ms(loop) >= q->next_deferred_scan_ms) {
			want |= SCAN_DEFERRED | SCAN_INCOMING;
			q->next_deferred_scan_ms =
				loop_deadline_ms(loop, q->config.queue_run_delay * 1000);
		}
		/* Meanwhile a delivery that was under way may have failed. */
		if ((want & SCAN_FLUSH) != 0)
			sched_revive_all(&q->sched, loop_now_ms(loop));
		if ((want & SCAN_INCOMING) != 0)
			scan_queue(q, QUEUE_INCOMING, want);
		if ((want & SCAN_DEFERRED) != 0)
			scan_queue(q, QUEUE_DEFERRED, want);
		if (q->scan_wanted == 0 &&
		    event_wait(&q->scan, q->next_deferred_scan_ms) == FIBER_CANCELLED)
			break;
	}
}
