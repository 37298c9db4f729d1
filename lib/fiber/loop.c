/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn: run the ready fibers, fire the timers that are due, let libev wait for
 * descriptors (not at all if a fiber is ready, else until the first timer). Timers are a
 * heap of our own, because each blocking call of a fiber sets and clears one.
 */
#include "fiber/loop.h"

#include <ev.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"

#include "fiber/fiber_internal.h"

#if defined(__SANITIZE_ADDRESS__)
enum { DEFAULT_STACK = 4 * LOOP_STACK_BYTES };
#else
enum { DEFAULT_STACK = LOOP_STACK_BYTES };
#endif

enum { MAX_FIBERS = 200000, TURN_MAX_MS = 3600000 };

struct signal_watch {
	ev_signal ev;
	struct signal_watch *next;
	struct loop *loop;
	void (*fn)(int sig, void *arg);
	void *arg;
	int sig;
};

struct loop *
loop_new(void)
{
	struct loop *loop = mem_alloc(sizeof(*loop));

	signal(SIGPIPE, SIG_IGN);
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
	if (loop->ev == NULL)
		panic("no event loop: neither epoll nor poll works");
	heap_init(&loop->timers);
	list_init(&loop->ready);
	list_init(&loop->all);
	loop->stacks = stack_pool_new(DEFAULT_STACK);
	loop->max_fibers = MAX_FIBERS;
	return loop;
}

void
loop_set_stack_bytes(struct loop *loop, size_t bytes)
{
	ensure(loop->n_fibers == 0);
	stack_pool_free(&loop->stacks);
	loop->stacks = stack_pool_new(bytes);
}

void
loop_set_max_fibers(struct loop *loop, size_t count)
{
	loop->max_fibers = count;
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
	int64_t at;

	if (ms < 0 || __builtin_add_overflow(loop_now_ms(loop), ms, &at))
		return LOOP_FOREVER;
	return at;
}

/* ---- timers ---- */

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

static void
fire_timers(struct loop *loop)
{
	int64_t now = loop_now_ms(loop);
	struct heap_node *n;

	while ((n = heap_first(&loop->timers)) != NULL && n->key <= now) {
		struct timer *t = CONTAINER_OF(n, struct timer, node);

		heap_remove(&loop->timers, n);
		t->fn(t, t->arg);
	}
}

/* ---- descriptors ---- */

_Static_assert(sizeof(ev_io) <= sizeof(((struct watch *)0)->private),
	       "struct watch has no room for an ev_io");

static ev_io *
io_of(struct watch *w)
{
	return (ev_io *)(void *)w->private;
}

static void
watch_ready(struct ev_loop *ev, ev_io *io, int events)
{
	struct watch *w = CONTAINER_OF(io, struct watch, private);
	unsigned ready = 0;

	(void)ev;
	if ((events & (EV_READ | EV_ERROR)) != 0)
		ready |= WATCH_READ;
	if ((events & (EV_WRITE | EV_ERROR)) != 0)
		ready |= WATCH_WRITE;
	w->fn(w, ready, w->arg);
}

void
watch_init(struct watch *w, struct loop *loop, int fd, unsigned events,
	   void (*fn)(struct watch *, unsigned, void *), void *arg)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop;
	w->fn = fn;
	w->arg = arg;
	ev_io_init(io_of(w), watch_ready, fd,
		   ((events & WATCH_READ) != 0 ? EV_READ : 0) |
			   ((events & WATCH_WRITE) != 0 ? EV_WRITE : 0));
}

void
watch_start(struct watch *w)
{
	if (watch_is_active(w))
		return;
	ev_io_start(w->loop->ev, io_of(w));
	w->loop->n_watches++;
}

void
watch_stop(struct watch *w)
{
	if (!watch_is_active(w))
		return;
	ev_io_stop(w->loop->ev, io_of(w));
	w->loop->n_watches--;
}

bool
watch_is_active(const struct watch *w)
{
	ev_io *io = (ev_io *)(uintptr_t)w->private; /* the macro takes no const */

	return ev_is_active(io);
}

/* ---- signals and children ---- */

static void
signal_arrived(struct ev_loop *ev, ev_signal *s, int events)
{
	struct signal_watch *w = CONTAINER_OF(s, struct signal_watch, ev);

	(void)ev;
	(void)events;
	w->fn(w->sig, w->arg);
}

static struct signal_watch *
signal_find(struct loop *loop, int sig)
{
	struct signal_watch *w = loop->signals;

	while (w != NULL && w->sig != sig)
		w = w->next;
	return w;
}

static void
signal_forget(struct loop *loop, struct signal_watch *w)
{
	struct signal_watch **at = &loop->signals;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ev_ref(loop->ev);
	ev_signal_stop(loop->ev, &w->ev);
	mem_free(w);
}

void
loop_on_signal(struct loop *loop, int sig, void (*fn)(int sig, void *arg), void *arg)
{
	struct signal_watch *w = signal_find(loop, sig);

	if (w != NULL)
		signal_forget(loop, w);
	if (fn == NULL)
		return;
	w = mem_alloc(sizeof(*w));
	*w = (struct signal_watch){
		.loop = loop, .fn = fn, .arg = arg, .sig = sig, .next = loop->signals};
	loop->signals = w;
	ev_signal_init(&w->ev, signal_arrived, sig);
	ev_signal_start(loop->ev, &w->ev);
	ev_unref(loop->ev); /* does not keep the loop running */
}

struct child {
	struct watch watch;
	pid_t pid;
	int fd;
	void (*fn)(pid_t pid, int status, void *arg);
	void *arg;
};

static void
child_ended(struct watch *w, unsigned ready, void *arg)
{
	struct child *c = arg;
	int status = 0;
	pid_t pid;

	(void)w;
	(void)ready;
	pid = sys_waitpid(c->pid, &status, WNOHANG);
	if (pid == 0)
		return;
	watch_stop(&c->watch);
	close(c->fd);
	c->fn(c->pid, pid < 0 ? -1 : status, c->arg);
	mem_free(c);
}

void
loop_on_child(struct loop *loop, pid_t pid, void (*fn)(pid_t pid, int status, void *arg),
	      void *arg)
{
	struct child *c = mem_alloc(sizeof(*c));

	c->pid = pid;
	c->fn = fn;
	c->arg = arg;
	c->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->fd < 0)
		panic("pidfd_open of child %d", (int)pid);
	watch_init(&c->watch, loop, c->fd, WATCH_READ, child_ended, c);
	watch_start(&c->watch);
}

/* ---- running ---- */

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

static void
wake_up(struct ev_loop *ev, ev_timer *t, int events)
{
	(void)ev;
	(void)t;
	(void)events;
}

/* Wait for descriptors, at most until the first timer. */
static void
wait_for_events(struct loop *loop)
{
	const struct heap_node *n = heap_first(&loop->timers);
	int64_t ms = n == NULL ? TURN_MAX_MS : n->key - loop_now_ms(loop);
	ev_timer limit;

	if (!list_is_empty(&loop->ready) || ms <= 0) {
		ev_run(loop->ev, EVRUN_NOWAIT);
		return;
	}
	ev_timer_init(&limit, wake_up, 0, 0);
	ev_now_update(loop->ev);
	limit.at = (double)MIN_OF(ms, (int64_t)TURN_MAX_MS) / 1000;
	ev_timer_start(loop->ev, &limit);
	ev_run(loop->ev, EVRUN_ONCE);
	ev_timer_stop(loop->ev, &limit);
}

static bool
has_work(const struct loop *loop)
{
	return loop->n_fibers > 0 || loop->n_watches > 0 || loop->timers.count > 0;
}

void
loop_run(struct loop *loop)
{
	ensure(!loop->running);
	loop->running = true;
	loop->stop = false;
	while (!loop->stop && has_work(loop)) {
		fire_timers(loop);
		fiber_run_ready(loop);
		if (loop->stop || !has_work(loop))
			break;
		wait_for_events(loop);
	}
	loop->running = false;
}

void
loop_forget_in_child(struct loop *loop)
{
	for (struct signal_watch *w = loop->signals; w != NULL; w = w->next)
		signal(w->sig, SIG_DFL);
	/* Closes descriptors only: what the parent watches is not touched. */
	ev_loop_destroy(loop->ev);
	loop->ev = NULL;
}

void
loop_free(struct loop **loop_in)
{
	struct loop *loop = *loop_in;

	if (loop == NULL)
		return;
	list_foreach (at, &loop->all)
		fiber_cancel(CONTAINER_OF(at, struct fiber, all_link));
	while (loop->n_fibers > 0) {
		fire_timers(loop);
		fiber_run_ready(loop);
		if (loop->n_fibers > 0)
			wait_for_events(loop);
	}
	while (loop->signals != NULL)
		signal_forget(loop, loop->signals);
	heap_release(&loop->timers);
	stack_pool_free(&loop->stacks);
	ev_loop_destroy(loop->ev);
	mem_free(loop);
	*loop_in = NULL;
}
