/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/panic.h"

#include "fiber/fiber_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- switching, with word to the sanitizer ---- */

static void
enter(struct loop *loop, struct fiber *f)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&loop->asan_stack, f->stack,
				       stack_pool_bytes(loop->stacks));
#endif
	fiber_switch(&loop->sp, f->sp);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(loop->asan_stack, NULL, NULL);
#endif
}

/* From the running fiber to the loop; for_good: it will not come back. */
static void
leave(struct fiber *f, bool for_good)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(for_good ? NULL : &f->asan_stack,
				       f->loop->asan_bottom, f->loop->asan_size);
#else
	(void)for_good;
#endif
	fiber_switch(&f->sp, f->loop->sp);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(f->asan_stack, NULL, NULL);
#endif
}

static void
body(void *arg)
{
	struct fiber *f = arg;

#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &f->loop->asan_bottom, &f->loop->asan_size);
#endif
	f->fn(f->arg);
	f->state = FIBER_ENDED;
	leave(f, true);
	panic("a fiber that has ended goes on");
}

/* ---- life ---- */

static void
end(struct loop *loop, struct fiber *f)
{
	timer_stop(&f->timer);
	list_remove(&f->all_link);
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(f->stack, stack_pool_bytes(loop->stacks));
#endif
	stack_put(loop->stacks, f->stack);
	loop->n_fibers--;
	mem_free(f);
}

static void
make_ready(struct fiber *f, enum fiber_wake wake)
{
	f->state = FIBER_READY;
	f->wake = wake;
	timer_stop(&f->timer);
	list_append(&f->loop->ready, &f->link);
}

static void
deadline_passed(struct timer *t, void *arg)
{
	struct fiber *f = arg;

	(void)t;
	if (f->state == FIBER_PARKED)
		make_ready(f, FIBER_TIMEOUT);
}

struct fiber *
fiber_spawn(struct loop *loop, const char *name, void (*fn)(void *arg), void *arg)
{
	struct fiber *f;
	char *stack;

	if (loop->n_fibers >= loop->max_fibers)
		return NULL;
	stack = stack_get(loop->stacks);
	if (stack == NULL)
		return NULL;
	f = mem_alloc(sizeof(*f));
	f->loop = loop;
	f->name = name;
	f->fn = fn;
	f->arg = arg;
	f->stack = stack;
	f->sp = fiber_context_make(stack + stack_pool_bytes(loop->stacks) - 64, body, f);
	list_init(&f->link);
	list_init(&f->all_link);
	timer_init(&f->timer, loop, deadline_passed, f);
	list_append(&loop->all, &f->all_link);
	loop->n_fibers++;
	make_ready(f, FIBER_WOKEN);
	return f;
}

void
fiber_run_ready(struct loop *loop)
{
	struct list now;

	/* Those that become ready meanwhile wait for the next turn. */
	list_init(&now);
	while (!list_is_empty(&loop->ready)) {
		struct list *first = list_first(&loop->ready);

		list_remove(first);
		list_append(&now, first);
	}
	while (!list_is_empty(&now)) {
		struct fiber *f = CONTAINER_OF(list_first(&now), struct fiber, link);

		list_remove(&f->link);
		f->state = FIBER_RUNNING;
		loop->current = f;
		enter(loop, f);
		loop->current = NULL;
		if (f->state == FIBER_ENDED)
			end(loop, f);
	}
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
	return loop->n_fibers;
}

/* ---- waiting ---- */

enum fiber_wake
fiber_park(struct loop *loop, int64_t deadline_ms)
{
	struct fiber *f = loop->current;

	if (f == NULL)
		panic("blocking outside a fiber");
	if (f->cancelled)
		return FIBER_CANCELLED;
	f->state = FIBER_PARKED;
	if (deadline_ms != LOOP_FOREVER)
		timer_start_at(&f->timer, deadline_ms);
	leave(f, false);
	return f->wake;
}

void
fiber_park_shielded(struct loop *loop)
{
	struct fiber *f = loop->current;

	if (f == NULL)
		panic("blocking outside a fiber");
	f->state = FIBER_SHIELDED;
	leave(f, false);
}

bool
fiber_unpark(struct fiber *f)
{
	if (f->state != FIBER_PARKED && f->state != FIBER_SHIELDED)
		return false;
	make_ready(f, FIBER_WOKEN);
	return true;
}

void
fiber_cancel(struct fiber *f)
{
	if (f->cancelled)
		return;
	f->cancelled = true;
	if (f->state == FIBER_PARKED)
		make_ready(f, FIBER_CANCELLED);
}

bool
fiber_is_cancelled(const struct fiber *f)
{
	return f->cancelled;
}

bool
fiber_sleep(struct loop *loop, int64_t ms)
{
	return fiber_park(loop, loop_deadline_ms(loop, ms)) != FIBER_CANCELLED;
}

bool
fiber_yield(struct loop *loop)
{
	struct fiber *f = loop->current;

	if (f == NULL)
		panic("blocking outside a fiber");
	if (f->cancelled)
		return false;
	make_ready(f, FIBER_WOKEN);
	leave(f, false);
	return !f->cancelled;
}

void
fiber_trim_stack(struct loop *loop)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct fiber *f = loop->current;
	uintptr_t bottom;

	if (f == NULL)
		return;
	bottom = (uintptr_t)f->stack;
	/* One page of margin for the frames of the calls below. */
	here = here / page * page - page;
	if (here > bottom)
		madvise((void *)bottom, here - bottom, MADV_DONTNEED);
}
