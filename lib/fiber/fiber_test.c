/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/fiber.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"

struct world {
	struct loop *loop;
	struct fiber *fiber;
	char text[64];
	int started;
	int ended;
	bool ok;
	enum fiber_wake wake;
};

static void
say(struct world *w, char c)
{
	w->text[strlen(w->text)] = c;
}

static void
alternate_a(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 3; i++) {
		say(w, 'a');
		assert_true(fiber_yield(w->loop));
	}
}

static void
alternate_b(void *arg)
{
	struct world *w = arg;

	assert_string_equal(fiber_name(fiber_current(w->loop)), "b");
	assert_ptr_equal(fiber_loop(fiber_current(w->loop)), w->loop);
	for (int i = 0; i < 3; i++) {
		say(w, 'b');
		assert_true(fiber_yield(w->loop));
	}
}

static void
yield_alternates(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	assert_non_null(fiber_spawn(w.loop, "a", alternate_a, &w));
	assert_non_null(fiber_spawn(w.loop, "b", alternate_b, &w));
	assert_null(fiber_current(w.loop));
	assert_int_equal(fiber_count(w.loop), 2);
	loop_run(w.loop);
	assert_string_equal(w.text, "ababab");
	assert_int_equal(fiber_count(w.loop), 0);
	loop_free(&w.loop);
}

static void
sleeper(void *arg)
{
	struct world *w = arg;

	w->started++;
	w->ok = fiber_sleep(w->loop, 30);
	w->ended++;
}

static void
sleep_takes_its_time(void **state)
{
	struct world w = {.loop = loop_new()};
	int64_t begin = loop_now_ms(w.loop);

	(void)state;
	assert_non_null(fiber_spawn(w.loop, "s", sleeper, &w));
	loop_run(w.loop);
	assert_true(w.ok);
	assert_true(loop_now_ms(w.loop) - begin >= 30);
	loop_free(&w.loop);
}

static void
long_sleeper(void *arg)
{
	struct world *w = arg;

	w->started++;
	w->ok = fiber_sleep(w->loop, 60000);
	/* Every later call fails too, at once. */
	assert_true(fiber_is_cancelled(fiber_current(w->loop)));
	assert_false(fiber_sleep(w->loop, 60000));
	assert_false(fiber_yield(w->loop));
	assert_int_equal(fiber_park(w->loop, LOOP_FOREVER), FIBER_CANCELLED);
	w->ended++;
}

static void
canceller(void *arg)
{
	struct world *w = arg;

	assert_true(fiber_sleep(w->loop, 5));
	fiber_cancel(w->fiber);
	fiber_cancel(w->fiber);
}

static void
cancel_ends_a_sleep(void **state)
{
	struct world w = {.loop = loop_new(), .ok = true};

	(void)state;
	w.fiber = fiber_spawn(w.loop, "long", long_sleeper, &w);
	assert_non_null(w.fiber);
	assert_non_null(fiber_spawn(w.loop, "c", canceller, &w));
	loop_run(w.loop);
	assert_false(w.ok);
	assert_int_equal(w.ended, 1);
	loop_free(&w.loop);
}

static void
cancel_before_the_start(void **state)
{
	struct world w = {.loop = loop_new(), .ok = true};

	(void)state;
	w.fiber = fiber_spawn(w.loop, "long", long_sleeper, &w);
	fiber_cancel(w.fiber);
	loop_run(w.loop);
	assert_int_equal(w.started, 1);
	assert_int_equal(w.ended, 1);
	assert_false(w.ok);
	loop_free(&w.loop);
}

static void
loop_free_unwinds_fibers(void **state)
{
	struct world w = {.loop = loop_new(), .ok = true};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_non_null(fiber_spawn(w.loop, "long", long_sleeper, &w));
	loop_free(&w.loop);
	assert_int_equal(w.ended, 3);
}

static void
parker(void *arg)
{
	struct world *w = arg;

	w->wake = fiber_park(w->loop, loop_deadline_ms(w->loop, 10));
}

static void
unparker(void *arg)
{
	struct world *w = arg;

	assert_true(fiber_unpark(w->fiber));
	/* It is about to run: a second time is told to be of no use. */
	assert_false(fiber_unpark(w->fiber));
	assert_false(fiber_unpark(fiber_current(w->loop)));
}

static void
park_ends_by_deadline_or_unpark(void **state)
{
	struct world w = {.loop = loop_new(), .wake = FIBER_WOKEN};

	(void)state;
	assert_non_null(fiber_spawn(w.loop, "p", parker, &w));
	loop_run(w.loop);
	assert_int_equal(w.wake, FIBER_TIMEOUT);
	w.fiber = fiber_spawn(w.loop, "p", parker, &w);
	assert_non_null(fiber_spawn(w.loop, "u", unparker, &w));
	loop_run(w.loop);
	assert_int_equal(w.wake, FIBER_WOKEN);
	loop_free(&w.loop);
}

static void
stopper(void *arg)
{
	struct world *w = arg;

	say(w, 's');
	loop_stop(w->loop);
}

/* The fibers behind the one that stopped the loop keep their order. */
static void
stop_keeps_the_rest(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	assert_non_null(fiber_spawn(w.loop, "s", stopper, &w));
	assert_non_null(fiber_spawn(w.loop, "a", alternate_a, &w));
	assert_non_null(fiber_spawn(w.loop, "b", alternate_b, &w));
	loop_run(w.loop);
	assert_string_equal(w.text, "s");
	loop_run(w.loop);
	assert_string_equal(w.text, "sababab");
	loop_free(&w.loop);
}

static void
counted(void *arg)
{
	struct world *w = arg;
	volatile char local[1500];

	w->started++;
	memset((void *)(uintptr_t)local, w->started & 0xff, sizeof(local));
	if (!fiber_sleep(w->loop, w->started % 50))
		return;
	fiber_trim_stack(w->loop);
	for (size_t i = 1; i < sizeof(local); i++)
		assert_int_equal(local[i], local[0]);
	w->ended++;
}

static void
thousands_of_fibers(void **state)
{
	struct world w = {.loop = loop_new()};
	enum { MANY = 5000 };

	(void)state;
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < MANY; i++)
			assert_non_null(fiber_spawn(w.loop, "n", counted, &w));
		assert_int_equal(fiber_count(w.loop), MANY);
		loop_run(w.loop);
		assert_int_equal(w.ended, round * MANY);
		assert_int_equal(fiber_count(w.loop), 0);
	}
	loop_free(&w.loop);
}

static void
number_is_limited(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	loop_set_max_fibers(w.loop, 2);
	assert_non_null(fiber_spawn(w.loop, "1", sleeper, &w));
	assert_non_null(fiber_spawn(w.loop, "2", sleeper, &w));
	assert_null(fiber_spawn(w.loop, "3", sleeper, &w));
	loop_run(w.loop);
	assert_non_null(fiber_spawn(w.loop, "4", sleeper, &w));
	loop_run(w.loop);
	assert_int_equal(w.ended, 3);
	loop_free(&w.loop);
}

static void
spawner(void *arg)
{
	struct world *w = arg;

	assert_non_null(fiber_spawn(w->loop, "inner", sleeper, w));
	assert_int_equal(w->started, 0);
}

static void
fiber_may_spawn(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	assert_non_null(fiber_spawn(w.loop, "outer", spawner, &w));
	loop_run(w.loop);
	assert_int_equal(w.ended, 1);
	loop_free(&w.loop);
}

static int
dig(volatile char *above, int depth)
{
	volatile char here[1024];

	here[0] = above[0];
	return depth == 0 ? here[0] : dig(here, depth - 1) + here[0];
}

static void
digger(void *arg)
{
	volatile char zero[1] = {0};

	*(int *)arg = dig(zero, 100000);
}

/* Runs a child that must die, with its standard error closed. */
static int
status_of(void (*fn)(void *), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct loop *loop = loop_new();

		close(STDERR_FILENO);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		if (fiber_spawn(loop, "child", fn, arg != NULL ? arg : loop) != NULL)
			loop_run(loop);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void
overrun_is_caught(void **state)
{
	int result;
	int status = status_of(digger, &result);

	(void)state;
	/* The sanitizer reports it in its own way. */
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
runs_loop(void *arg)
{
	loop_run(arg);
}

static void
misuse_panics(void **state)
{
	int status = status_of(runs_loop, NULL);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* printf with floating point needs an aligned stack. */
static void
uses_alignment(void *arg)
{
	struct world *w = arg;

	snprintf(w->text, sizeof(w->text), "%.3f %Lf", 1.5, 2.5L);
}

static void
stack_is_aligned(void **state)
{
	struct world w = {.loop = loop_new()};

	(void)state;
	loop_set_stack_bytes(w.loop, 20001);
	assert_non_null(fiber_spawn(w.loop, "f", uses_alignment, &w));
	loop_run(w.loop);
	assert_string_equal(w.text, "1.500 2.500000");
	loop_free(&w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yield_alternates),
		cmocka_unit_test(sleep_takes_its_time),
		cmocka_unit_test(cancel_ends_a_sleep),
		cmocka_unit_test(cancel_before_the_start),
		cmocka_unit_test(loop_free_unwinds_fibers),
		cmocka_unit_test(park_ends_by_deadline_or_unpark),
		cmocka_unit_test(stop_keeps_the_rest),
		cmocka_unit_test(thousands_of_fibers),
		cmocka_unit_test(number_is_limited),
		cmocka_unit_test(fiber_may_spawn),
		cmocka_unit_test(overrun_is_caught),
		cmocka_unit_test(misuse_panics),
		cmocka_unit_test(stack_is_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
