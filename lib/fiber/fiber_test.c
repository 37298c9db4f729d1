/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/fiber.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"

#include "fiber/event.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

struct shared {
	struct loop *loop;
	struct event event;
	struct gate gate;
	struct fiber *fiber;
	char log[200];
	int count;
	int most;
	enum fiber_wake wake;
	bool slept;
};

static void
note(struct shared *s, char c)
{
	size_t n = strlen(s->log);

	s->log[n] = c;
	s->log[n + 1] = '\0';
}

static void
yielding(void *arg)
{
	struct shared *s = arg;
	char me = (char)('a' + s->count++);

	for (int i = 0; i < 3; i++) {
		note(s, me);
		assert_true(fiber_yield(s->loop));
	}
}

static void
test_yield(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_non_null(fiber_spawn(s.loop, "yielding", yielding, &s));
	assert_int_equal(fiber_count(s.loop), 3);
	loop_run(s.loop);
	assert_string_equal(s.log, "abcabcabc");
	assert_int_equal(fiber_count(s.loop), 0);
	loop_free(&s.loop);
}

static void
sleeper(void *arg)
{
	struct shared *s = arg;
	int64_t before = loop_now_ms(s->loop);

	s->slept = fiber_sleep(s->loop, 20);
	assert_true(loop_now_ms(s->loop) - before >= (s->slept ? 20 : 0));
	note(s, 'z');
}

static void
test_sleep(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	IGNORE(fiber_spawn(s.loop, "sleeper", sleeper, &s) == NULL);
	loop_run(s.loop);
	assert_true(s.slept);
	assert_string_equal(s.log, "z");
	loop_free(&s.loop);
}

static void
canceller(void *arg)
{
	struct shared *s = arg;

	fiber_cancel(s->fiber);
	fiber_cancel(s->fiber);
}

static void
long_sleeper(void *arg)
{
	struct shared *s = arg;

	s->slept = fiber_sleep(s->loop, -1);
	assert_false(fiber_sleep(s->loop, 0)); /* every later call fails too */
	assert_true(fiber_is_cancelled(fiber_current(s->loop)));
}

static void
test_cancel(void **state)
{
	struct shared s = {.loop = loop_new(), .slept = true};

	(void)state;
	s.fiber = fiber_spawn(s.loop, "sleeper", long_sleeper, &s);
	IGNORE(fiber_spawn(s.loop, "canceller", canceller, &s) == NULL);
	loop_run(s.loop);
	assert_false(s.slept);
	/* loop_free() cancels what is left. */
	s.fiber = fiber_spawn(s.loop, "sleeper", long_sleeper, &s);
	loop_free(&s.loop);
}

static void
event_waiter(void *arg)
{
	struct shared *s = arg;

	s->wake = event_wait(&s->event, loop_deadline_ms(s->loop, 10000));
	s->count++;
}

static void
event_signaller(void *arg)
{
	struct shared *s = arg;

	event_signal_one(&s->event);
	assert_true(fiber_yield(s->loop));
	assert_true(fiber_yield(s->loop));
	assert_int_equal(s->count, 1);
	event_signal_all(&s->event);
}

static void
test_event(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	event_init(&s.event, s.loop);
	for (int i = 0; i < 3; i++)
		IGNORE(fiber_spawn(s.loop, "waiter", event_waiter, &s) == NULL);
	IGNORE(fiber_spawn(s.loop, "signaller", event_signaller, &s) == NULL);
	loop_run(s.loop);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.wake, FIBER_WOKEN);
	loop_free(&s.loop);
}

static void
event_timeout(void *arg)
{
	struct shared *s = arg;

	s->wake = event_wait(&s->event, loop_deadline_ms(s->loop, 5));
}

static void
test_event_timeout(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	event_init(&s.event, s.loop);
	IGNORE(fiber_spawn(s.loop, "waiter", event_timeout, &s) == NULL);
	loop_run(s.loop);
	assert_int_equal(s.wake, FIBER_TIMEOUT);
	assert_false(event_has_waiters(&s.event));
	loop_free(&s.loop);
}

static void
through_gate(void *arg)
{
	struct shared *s = arg;

	assert_int_equal(gate_enter(&s->gate, LOOP_FOREVER), FIBER_WOKEN);
	s->count++;
	s->most = MAX_OF(s->most, s->count);
	assert_true(fiber_sleep(s->loop, 1));
	s->count--;
	gate_leave(&s->gate);
}

static void
test_gate(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	gate_init(&s.gate, s.loop, 3);
	for (int i = 0; i < 20; i++)
		IGNORE(fiber_spawn(s.loop, "gate", through_gate, &s) == NULL);
	loop_run(s.loop);
	assert_int_equal(s.most, 3);
	assert_int_equal(s.gate.inside, 0);
	loop_free(&s.loop);
}

static void
block_thread(void *arg)
{
	int *n = arg;

	usleep(5000);
	*n = 7;
}

struct offloading {
	struct shared *shared;
	struct offload *offload;
};

static void
offloader(void *arg)
{
	struct offloading *o = arg;
	int n = 0;

	offload_run(o->offload, block_thread, &n);
	assert_int_equal(n, 7);
	o->shared->count++;
}

static void
test_offload(void **state)
{
	struct shared s = {.loop = loop_new()};
	struct offloading o = {&s, offload_new(s.loop, 2)};
	int n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		IGNORE(fiber_spawn(s.loop, "offloader", offloader, &o) == NULL);
	loop_run(s.loop);
	assert_int_equal(s.count, 10);
	offload_run(o.offload, block_thread, &n); /* in place outside a fiber */
	assert_int_equal(n, 7);
	offload_free(&o.offload);
	loop_free(&s.loop);
}

static void
tick(struct timer *t, void *arg)
{
	struct shared *s = arg;

	if (++s->count < 3)
		timer_start_ms(t, 1);
}

static void
got_signal(int sig, void *arg)
{
	struct shared *s = arg;

	assert_int_equal(sig, SIGUSR1);
	s->most++;
	loop_stop(s->loop);
}

static void
raise_signal(struct timer *t, void *arg)
{
	(void)t;
	(void)arg;
	kill(getpid(), SIGUSR1);
}

static void
never(struct timer *t, void *arg)
{
	(void)t;
	(void)arg;
}

static void
test_timer_and_signal(void **state)
{
	struct shared s = {.loop = loop_new()};
	struct timer t;
	struct timer raiser;
	struct timer far;

	(void)state;
	timer_init(&t, s.loop, tick, &s);
	timer_start_ms(&t, 1);
	loop_run(s.loop);
	assert_int_equal(s.count, 3);
	loop_on_signal(s.loop, SIGUSR1, got_signal, &s);
	timer_init(&raiser, s.loop, raise_signal, &s);
	timer_init(&far, s.loop, never, &s);
	timer_start_ms(&far,
		       60000); /* keeps the loop running until the signal stops it */
	timer_start_ms(&raiser, 1);
	loop_run(s.loop);
	assert_int_equal(s.most, 1);
	timer_stop(&far);
	loop_free(&s.loop);
}

static void
child_done(pid_t pid, int status, void *arg)
{
	struct shared *s = arg;

	assert_true(pid > 0);
	s->count = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_child(void **state)
{
	struct shared s = {.loop = loop_new()};
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(42);
	loop_on_child(s.loop, pid, child_done, &s);
	loop_run(s.loop);
	assert_int_equal(s.count, 42);
	loop_free(&s.loop);
}

/* Deep enough to need a good part of the stack. */
static int
deep(int n)
{
	volatile char space[200];

	space[0] = (char)n;
	return n == 0 ? 0 : deep(n - 1) + 1 + (space[0] - space[0]);
}

static void
deep_fiber(void *arg)
{
	struct shared *s = arg;

	s->count += deep(100);
	assert_true(fiber_sleep(s->loop, 1));
	fiber_trim_stack(s->loop);
	s->count += deep(100);
}

static void
test_many(void **state)
{
	struct shared s = {.loop = loop_new()};

	(void)state;
	for (int round = 0; round < 2; round++) {
		s.count = 0;
		for (int i = 0; i < 2000; i++)
			assert_non_null(fiber_spawn(s.loop, "deep", deep_fiber, &s));
		loop_run(s.loop);
		assert_int_equal(s.count, 2000 * 200);
	}
	loop_set_max_fibers(s.loop, 1);
	assert_non_null(fiber_spawn(s.loop, "deep", deep_fiber, &s));
	assert_null(fiber_spawn(s.loop, "deep", deep_fiber, &s));
	loop_run(s.loop);
	loop_free(&s.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yield),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_event_timeout),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_offload),
		cmocka_unit_test(test_timer_and_signal),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
