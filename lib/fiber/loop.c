/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/loop.h"

#include <signal.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/loop_internal.h"

enum { FIBERS_MAX = 200000 };

#if defined(FIBER_ASAN)
enum { STACK_FACTOR = 4 };
#else
enum { STACK_FACTOR = 1 };
#endif

static void
on_tick(EV_P_ ev_timer *t, int events)
{
	/* Waking up was all: timers_run() follows in each turn. */
	(void)loop;
	(void)t;
	(void)events;
}

static void
on_alarm(EV_P_ ev_async *a, int events)
{
	(void)loop;
	(void)events;
	loop_offloads_collect(a->data);
}

void
loop_ring(struct loop *loop)
{
	ev_async_send(loop->ev, &loop->alarm);
}

struct loop *
loop_new(void)
{
	struct loop *l = mem_alloc(sizeof(*l));
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	if (sigaction(SIGPIPE, &ignore, NULL) < 0)
		panic("cannot ignore SIGPIPE");
	l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (l->ev == NULL)
		panic("no event loop: the system offers no way to wait");
	ev_timer_init(&l->tick, on_tick, 0., 0.);
	l->tick_ms = LOOP_FOREVER;
	/* Always active: so a loop whose fibers all wait for each other sleeps. */
	ev_async_init(&l->alarm, on_alarm);
	l->alarm.data = l;
	ev_async_start(l->ev, &l->alarm);
	heap_init(&l->timers);
	list_init(&l->offloads);
	l->fiber_max = FIBERS_MAX;
	loop_fibers_init(l);
	loop_process_init(l);
	stack_pool_init(&l->stacks, (size_t)LOOP_STACK_BYTES * STACK_FACTOR);
	return l;
}

void
loop_set_stack_bytes(struct loop *loop, size_t bytes)
{
	if (loop->stacks.areas != NULL)
		panic("the stack size is set after the first fiber");
	stack_pool_init(&loop->stacks, mem_size_mul(bytes, STACK_FACTOR));
}

void
loop_set_max_fibers(struct loop *loop, size_t count)
{
	loop->fiber_max = count;
}

int64_t
loop_now_ms(const struct loop *loop)
{
	(void)loop;
	return sys_mono_ms();
}

int64_t
loop_deadline_ms(const struct loop *loop, int64_t ms)
{
	int64_t deadline;

	if (ms < 0 || __builtin_add_overflow(loop_now_ms(loop), ms, &deadline))
		return LOOP_FOREVER;
	return deadline;
}

/* Set tick for the first timer. It may stay earlier than needed: then we wake up once
 * for nothing, which is cheaper than setting it anew for each read with a deadline. */
static void
tick_set(struct loop *l)
{
	struct heap_node *first = heap_first(&l->timers);
	double seconds;

	if (first == NULL || (first->key >= l->tick_ms && l->tick_ms > loop_now_ms(l)))
		return;
	ev_now_update(l->ev);
	ev_timer_stop(l->ev, &l->tick);
	seconds = (double)(first->key - loop_now_ms(l)) / 1000.;
	ev_timer_set(&l->tick, seconds > 0. ? seconds : 0., 0.);
	ev_timer_start(l->ev, &l->tick);
	l->tick_ms = first->key;
}

static void
timers_run(struct loop *l)
{
	int64_t now = loop_now_ms(l);
	/* A callback that starts its timer again for now must not keep us here. */
	size_t most = l->timers.count;

	if (!ev_is_active(&l->tick))
		l->tick_ms = LOOP_FOREVER;
	while (most-- > 0) {
		struct heap_node *node = heap_first(&l->timers);
		struct timer *t;

		if (node == NULL || node->key > now)
			return;
		heap_remove(&l->timers, node);
		t = CONTAINER_OF(node, struct timer, node);
		t->fn(t, t->arg);
	}
}

static bool
is_idle(const struct loop *l)
{
	return l->fiber_count == 0 && l->active == 0 && l->timers.count == 0;
}

static void
turn(struct loop *l)
{
	loop_fibers_run(l);
	if (l->stop || is_idle(l))
		return;
	tick_set(l);
	ev_run(l->ev, list_is_empty(&l->ready) ? EVRUN_ONCE : EVRUN_NOWAIT);
	timers_run(l);
}

void
loop_run(struct loop *loop)
{
	if (loop->running)
		panic("loop_run() inside loop_run()");
	loop->running = true;
	loop->stop = false;
	while (!loop->stop && !is_idle(loop))
		turn(loop);
	loop->running = false;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

void
loop_end_fibers(struct loop *l)
{
	if (l->running)
		panic("loop_end_fibers() inside loop_run()");
	l->running = true;
	l->stop = false;
	while (l->fiber_count > 0) {
		/* Each turn: fibers that unwind may start others. */
		loop_fibers_cancel(l);
		turn(l);
	}
	l->running = false;
}

void
loop_free(struct loop **loop)
{
	struct loop *l = *loop;

	if (l == NULL)
		return;
	loop_end_fibers(l);
	if (!list_is_empty(&l->offloads))
		panic("loop_free() before offload_free()");
	loop_process_release(l);
	loop_fibers_release(l);
	heap_release(&l->timers);
	ev_async_stop(l->ev, &l->alarm);
	ev_timer_stop(l->ev, &l->tick);
	ev_loop_destroy(l->ev);
	mem_free(l);
	*loop = NULL;
}

/* -- timers -------------------------------------------------------------------- */

void
timer_init(struct timer *t, struct loop *loop, void (*fn)(struct timer *, void *),
	   void *arg)
{
	*t = (struct timer){.loop = loop, .fn = fn, .arg = arg};
}

void
timer_start_at(struct timer *t, int64_t deadline_ms)
{
	heap_remove(&t->loop->timers, &t->node);
	if (deadline_ms != LOOP_FOREVER)
		heap_add(&t->loop->timers, &t->node, deadline_ms);
}

void
timer_start_ms(struct timer *t, int64_t ms)
{
	timer_start_at(t, loop_deadline_ms(t->loop, MAX_OF(ms, 0)));
}

void
timer_stop(struct timer *t)
{
	heap_remove(&t->loop->timers, &t->node);
}

bool
timer_is_active(const struct timer *t)
{
	return t->node.place != 0;
}

/* -- watches ------------------------------------------------------------------- */

_Static_assert(sizeof(struct ev_io) <= sizeof(((struct watch *)0)->private),
	       "struct watch has room for libev's watcher");
_Static_assert(_Alignof(struct ev_io) <= _Alignof(uint64_t), "and its alignment");

static struct ev_io *
watch_io(struct watch *w)
{
	return (struct ev_io *)(void *)w->private;
}

static void
on_io(EV_P_ ev_io *io, int events)
{
	struct watch *w = io->data;
	unsigned ready = 0;

	(void)loop;
	/* libev reports a descriptor that is bad as an error: let the owner's next system
	 * call find out. */
	if (events & (EV_READ | EV_ERROR))
		ready |= WATCH_READ;
	if (events & (EV_WRITE | EV_ERROR))
		ready |= WATCH_WRITE;
	if (events & EV_ERROR)
		w->loop->active--;
	w->fn(w, ready, w->arg);
}

void
watch_init(struct watch *w, struct loop *loop, int fd, unsigned events,
	   void (*fn)(struct watch *, unsigned, void *), void *arg)
{
	int ev = (events & WATCH_READ ? EV_READ : 0) |
		 (events & WATCH_WRITE ? EV_WRITE : 0);

	*w = (struct watch){.loop = loop, .fn = fn, .arg = arg};
	ev_io_init(watch_io(w), on_io, fd, ev);
	watch_io(w)->data = w;
}

void
watch_start(struct watch *w)
{
	if (watch_is_active(w))
		return;
	ev_io_start(w->loop->ev, watch_io(w));
	w->loop->active++;
}

void
watch_stop(struct watch *w)
{
	if (!watch_is_active(w))
		return;
	ev_io_stop(w->loop->ev, watch_io(w));
	w->loop->active--;
}

bool
watch_is_active(const struct watch *w)
{
	/* libev's macro takes no const. */
	struct ev_io *io = (struct ev_io *)(uintptr_t)w->private;

	return ev_is_active(io);
}
