/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/offload.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "fiber/fiber.h"

enum { JOBS = 200 };

struct world {
	struct loop *loop;
	struct offload *offload;
	struct fiber *fiber;
	pthread_t main_thread;
	int ticks;
	int done;
	bool cancelled_seen;
};

struct task {
	struct world *world;
	int in;
	int out;
	useconds_t us;
	bool own_thread;
};

static void
work(void *arg)
{
	struct task *t = arg;

	t->own_thread = pthread_equal(pthread_self(), t->world->main_thread) == 0;
	usleep(t->us);
	t->out = t->in * 2;
}

static void
asks(void *arg)
{
	struct world *w = arg;
	struct task t = {.world = w, .in = ++w->ticks, .us = 100};

	offload_run(w->offload, work, &t);
	assert_int_equal(t.out, t.in * 2);
	assert_true(t.own_thread);
	w->done++;
}

static void
many_jobs(void **state)
{
	static const unsigned threads[] = {1, 4};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct world w = {.loop = loop_new(), .main_thread = pthread_self()};

		w.offload = offload_new(w.loop, threads[i]);
		for (int n = 0; n < JOBS; n++)
			assert_non_null(fiber_spawn(w.loop, "j", asks, &w));
		loop_run(w.loop);
		assert_int_equal(w.done, JOBS);
		offload_free(&w.offload);
		assert_null(w.offload);
		loop_free(&w.loop);
	}
}

static void
ticks(void *arg)
{
	struct world *w = arg;

	while (w->done == 0) {
		w->ticks++;
		if (!fiber_sleep(w->loop, 1))
			return;
	}
}

static void
slow(void *arg)
{
	struct world *w = arg;
	struct task t = {.world = w, .us = 50000};

	offload_run(w->offload, work, &t);
	w->done++;
}

/* The loop goes on while a job blocks. */
static void
others_run_meanwhile(void **state)
{
	struct world w = {.loop = loop_new(), .main_thread = pthread_self()};

	(void)state;
	w.offload = offload_new(w.loop, 1);
	assert_non_null(fiber_spawn(w.loop, "slow", slow, &w));
	assert_non_null(fiber_spawn(w.loop, "ticks", ticks, &w));
	loop_run(w.loop);
	assert_true(w.ticks >= 3);
	offload_free(&w.offload);
	loop_free(&w.loop);
}

static void
slow_cancelled(void *arg)
{
	struct world *w = arg;
	struct task t = {.world = w, .in = 21, .us = 30000};

	offload_run(w->offload, work, &t);
	/* The result is there although we were cancelled meanwhile. */
	assert_int_equal(t.out, 42);
	w->cancelled_seen = !fiber_yield(w->loop);
	w->done++;
}

static void
cancels(void *arg)
{
	struct world *w = arg;

	fiber_cancel(w->fiber);
}

static void
cancel_waits_for_the_job(void **state)
{
	struct world w = {.loop = loop_new(), .main_thread = pthread_self()};

	(void)state;
	w.offload = offload_new(w.loop, 1);
	w.fiber = fiber_spawn(w.loop, "slow", slow_cancelled, &w);
	assert_non_null(fiber_spawn(w.loop, "c", cancels, &w));
	loop_run(w.loop);
	assert_int_equal(w.done, 1);
	assert_true(w.cancelled_seen);
	offload_free(&w.offload);
	loop_free(&w.loop);
}

static void
asks_in_place(void *arg)
{
	struct world *w = arg;
	struct task t = {.world = w, .in = 4};

	offload_run(w->offload, work, &t);
	assert_int_equal(t.out, 8);
	assert_false(t.own_thread);
	w->done++;
}

static void
without_threads(void **state)
{
	struct world w = {.loop = loop_new(), .main_thread = pthread_self()};

	(void)state;
	w.offload = offload_new(w.loop, 0);
	assert_non_null(fiber_spawn(w.loop, "p", asks_in_place, &w));
	loop_run(w.loop);
	asks_in_place(&w); /* outside a fiber */
	assert_int_equal(w.done, 2);
	offload_free(&w.offload);
	loop_free(&w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_jobs),
		cmocka_unit_test(others_run_meanwhile),
		cmocka_unit_test(cancel_waits_for_the_job),
		cmocka_unit_test(without_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
