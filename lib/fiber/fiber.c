/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fiber's record lies at the top of its own stack, so a fiber that waits touches one
 * page for both. The loop resumes one fiber after the other from its ready list; a fiber
 * gives way by switching back to the loop.
 */
#include "fiber/fiber.h"

#include <stdint.h>

#include "base/panic.h"
#include "fiber/loop_internal.h"

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_PARKED, FIBER_ENDED };

struct fiber {
	struct list link; /* in loop->ready when ready */
	struct list all;
	struct loop *loop;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	struct stack *stack;
	struct context context;
	struct timer deadline;
	enum fiber_state state;
	enum fiber_wake wake;
	bool cancelled;
	bool shielded;
};

void
loop_fibers_init(struct loop *loop)
{
	list_init(&loop->ready);
	list_init(&loop->fibers);
}

void
loop_fibers_release(struct loop *loop)
{
	stack_pool_release(&loop->stacks);
}

static void
make_ready(struct fiber *f, enum fiber_wake wake)
{
	f->state = FIBER_READY;
	f->wake = wake;
	list_append(&f->loop->ready, &f->link);
}

static void
on_deadline(struct timer *t, void *arg)
{
	struct fiber *f = arg;

	(void)t;
	if (f->state == FIBER_PARKED)
		make_ready(f, FIBER_TIMEOUT);
}

/* The bottom of every fiber's stack. */
static void
fiber_main(void *arg)
{
	struct fiber *f = arg;

	context_arrive(&f->loop->home);
	f->fn(f->arg);
	f->state = FIBER_ENDED;
	context_leave(&f->context, &f->loop->home);
}

struct fiber *
fiber_spawn(struct loop *loop, const char *name, void (*fn)(void *arg), void *arg)
{
	struct stack *s;
	struct fiber *f;
	size_t record = (sizeof(*f) + 63) & ~(size_t)63;

	if (loop->fiber_count >= loop->fiber_max)
		return NULL;
	s = stack_get(&loop->stacks);
	if (s == NULL)
		return NULL;
	f = (struct fiber *)(void *)(s->base + s->bytes - record);
	*f = (struct fiber){.loop = loop, .name = name, .fn = fn, .arg = arg, .stack = s};
	list_append(&loop->fibers, &f->all);
	timer_init(&f->deadline, loop, on_deadline, f);
	context_init(&f->context, s->base, s->bytes - record, fiber_main, f);
	loop->fiber_count++;
	make_ready(f, FIBER_WOKEN);
	return f;
}

/* Cheap, and the only guard of stacks that have no guard page. */
static void
check_stack(const struct fiber *f)
{
	const char *sp = context_sp(&f->context);

	if (sp != NULL && (sp < f->stack->base || sp > f->stack->base + f->stack->bytes))
		panic("stack of fiber %s overrun", f->name);
}

static void
resume(struct fiber *f)
{
	struct loop *loop = f->loop;

	list_remove(&f->link);
	f->state = FIBER_RUNNING;
	loop->current = f;
	context_switch(&loop->home, &f->context);
	loop->current = NULL;
	if (f->state != FIBER_ENDED) {
		check_stack(f);
		return;
	}
	timer_stop(&f->deadline);
	list_remove(&f->all);
	loop->fiber_count--;
	stack_put(&loop->stacks, f->stack);
}

void
loop_fibers_run(struct loop *loop)
{
	struct list batch;

	if (list_is_empty(&loop->ready))
		return;
	/* Those that become ready meanwhile run in the next turn, after the descriptors
	 * had theirs. */
	list_init(&batch);
	list_append(&loop->ready, &batch);
	list_remove(&loop->ready);
	while (!list_is_empty(&batch) && !loop->stop)
		resume(CONTAINER_OF(list_first(&batch), struct fiber, link));
	/* After loop_stop() in the middle: the others keep their places. */
	while (!list_is_empty(&batch)) {
		struct list *last = batch.prev;

		list_remove(last);
		list_prepend(&loop->ready, last);
	}
}

void
loop_fibers_cancel(struct loop *loop)
{
	list_foreach (at, &loop->fibers)
		fiber_cancel(CONTAINER_OF(at, struct fiber, all));
}

static struct fiber *
must_be_in_fiber(const struct loop *loop, const char *what)
{
	if (loop->current == NULL)
		panic("%s outside a fiber", what);
	return loop->current;
}

static void
give_way(struct fiber *f)
{
	context_switch(&f->context, &f->loop->home);
}

enum fiber_wake
fiber_park(struct loop *loop, int64_t deadline_ms)
{
	struct fiber *f = must_be_in_fiber(loop, "blocking call");

	if (f->cancelled)
		return FIBER_CANCELLED;
	f->state = FIBER_PARKED;
	if (deadline_ms == LOOP_FOREVER) {
		give_way(f);
	} else {
		timer_start_at(&f->deadline, deadline_ms);
		give_way(f);
		timer_stop(&f->deadline);
	}
	return f->wake;
}

void
fiber_park_shielded(struct loop *loop)
{
	struct fiber *f = must_be_in_fiber(loop, "blocking call");

	f->shielded = true;
	f->state = FIBER_PARKED;
	give_way(f);
	f->shielded = false;
}

bool
fiber_unpark(struct fiber *f)
{
	if (f->state != FIBER_PARKED)
		return false;
	make_ready(f, FIBER_WOKEN);
	return true;
}

bool
fiber_sleep(struct loop *loop, int64_t ms)
{
	return fiber_park(loop, loop_deadline_ms(loop, ms)) != FIBER_CANCELLED;
}

bool
fiber_yield(struct loop *loop)
{
	struct fiber *f = must_be_in_fiber(loop, "fiber_yield()");

	if (f->cancelled)
		return false;
	make_ready(f, FIBER_WOKEN);
	give_way(f);
	return !f->cancelled;
}

void
fiber_cancel(struct fiber *f)
{
	f->cancelled = true;
	if (f->state == FIBER_PARKED && !f->shielded)
		make_ready(f, FIBER_CANCELLED);
}

bool
fiber_is_cancelled(const struct fiber *f)
{
	return f->cancelled;
}

struct fiber *
fiber_current(const struct loop *loop)
{
	return loop->current;
}

const char *
fiber_name(const struct fiber *f)
{
	return f->name;
}

struct loop *
fiber_loop(const struct fiber *f)
{
	return f->loop;
}

size_t
fiber_count(const struct loop *loop)
{
	return loop->fiber_count;
}

void
fiber_trim_stack(struct loop *loop)
{
	struct fiber *f = must_be_in_fiber(loop, "fiber_trim_stack()");

	stack_trim(&loop->stacks, f->stack, __builtin_frame_address(0));
}
