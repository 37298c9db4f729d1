/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/event.h"

#include "base/panic.h"

/* On the waiting fiber's stack. */
struct waiter {
	struct list link;
	struct fiber *fiber;
};

void
event_init(struct event *e, struct loop *loop)
{
	e->loop = loop;
	list_init(&e->waiters);
}

enum fiber_wake
event_wait(struct event *e, int64_t deadline_ms)
{
	struct waiter w = {.fiber = fiber_current(e->loop)};
	enum fiber_wake wake;

	list_append(&e->waiters, &w.link);
	wake = fiber_park(e->loop, deadline_ms);
	list_remove(&w.link);
	return wake;
}

/* False if nobody was there to be woken. A waiter whose deadline passed in this same turn
 * goes on for that reason; the next one is taken then. */
static bool
wake_first(struct event *e)
{
	struct list *first;

	while ((first = list_first(&e->waiters)) != NULL) {
		list_remove(first);
		if (fiber_unpark(CONTAINER_OF(first, struct waiter, link)->fiber))
			return true;
	}
	return false;
}

void
event_signal_one(struct event *e)
{
	wake_first(e);
}

void
event_signal_all(struct event *e)
{
	while (wake_first(e))
		continue;
}

bool
event_has_waiters(const struct event *e)
{
	return !list_is_empty(&e->waiters);
}

void
gate_init(struct gate *g, struct loop *loop, size_t limit)
{
	event_init(&g->queue, loop);
	g->limit = limit;
	g->inside = 0;
}

bool
gate_try_enter(struct gate *g)
{
	if (g->inside >= g->limit || event_has_waiters(&g->queue))
		return false;
	g->inside++;
	return true;
}

/* The place goes straight to the waiter, so that nobody overtakes it. */
static void
let_in(struct gate *g)
{
	while (g->inside < g->limit && wake_first(&g->queue))
		g->inside++;
}

enum fiber_wake
gate_enter(struct gate *g, int64_t deadline_ms)
{
	if (gate_try_enter(g))
		return FIBER_WOKEN;
	return event_wait(&g->queue, deadline_ms);
}

void
gate_leave(struct gate *g)
{
	if (g->inside == 0)
		panic("gate_leave() by somebody who is not inside");
	g->inside--;
	let_in(g);
}

void
gate_set_limit(struct gate *g, size_t limit)
{
	g->limit = limit;
	let_in(g);
}
