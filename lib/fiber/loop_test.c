/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "fiber/fiber.h"

struct record {
	struct loop *loop;
	char text[64];
	int count;
	int status;
};

struct named_timer {
	struct timer timer;
	struct record *record;
	char name;
};

static void
on_named(struct timer *t, void *arg)
{
	struct named_timer *n = arg;
	size_t len = strlen(n->record->text);

	(void)t;
	n->record->text[len] = n->name;
}

static void
named_init(struct named_timer *n, struct record *r, char name)
{
	n->record = r;
	n->name = name;
	timer_init(&n->timer, r->loop, on_named, n);
}

static void
timers_fire_in_order(void **state)
{
	struct record r = {.loop = loop_new()};
	struct named_timer t[4];
	int64_t begin = loop_now_ms(r.loop);

	(void)state;
	for (int i = 0; i < 4; i++)
		named_init(&t[i], &r, (char)('a' + i));
	timer_start_ms(&t[0].timer, 30);
	timer_start_ms(&t[1].timer, 10);
	timer_start_ms(&t[2].timer, 20);
	timer_start_ms(&t[3].timer, 5);
	timer_stop(&t[3].timer);
	assert_false(timer_is_active(&t[3].timer));
	timer_start_ms(&t[2].timer, 1); /* moves it to the front */
	loop_run(r.loop);
	assert_string_equal(r.text, "cba");
	assert_true(loop_now_ms(r.loop) - begin >= 30);
	assert_true(loop_now_ms(r.loop) - begin < 5000);
	loop_free(&r.loop);
	assert_null(r.loop);
}

static void
on_again(struct timer *t, void *arg)
{
	struct record *r = arg;

	if (++r->count == 3)
		loop_stop(r->loop);
	timer_start_ms(t, 0);
}

/* A timer that always starts itself anew must not lock the loop out. */
static void
timer_may_restart_itself(void **state)
{
	struct record r = {.loop = loop_new()};
	struct timer t;

	(void)state;
	timer_init(&t, r.loop, on_again, &r);
	timer_start_ms(&t, 0);
	loop_run(r.loop);
	assert_int_equal(r.count, 3);
	timer_stop(&t);
	loop_free(&r.loop);
}

static void
deadline_does_not_overflow(void **state)
{
	struct loop *loop = loop_new();

	(void)state;
	assert_true(loop_deadline_ms(loop, -1) == LOOP_FOREVER);
	assert_true(loop_deadline_ms(loop, INT64_MAX) == LOOP_FOREVER);
	assert_true(loop_deadline_ms(loop, 1000) >= loop_now_ms(loop) + 900);
	loop_free(&loop);
}

static void
on_readable(struct watch *w, unsigned ready, void *arg)
{
	struct record *r = arg;
	char c;

	assert_int_equal(ready, WATCH_READ);
	r->count++;
	assert_true(watch_is_active(w));
	/* Level-triggered: not reading the first time brings us here again. */
	if (r->count == 1)
		return;
	assert_int_equal(read(r->status, &c, 1), 1);
	watch_stop(w);
}

static void
watch_is_level_triggered(void **state)
{
	struct record r = {.loop = loop_new()};
	struct watch w;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	r.status = fds[0];
	watch_init(&w, r.loop, fds[0], WATCH_READ, on_readable, &r);
	watch_start(&w);
	watch_start(&w); /* twice is once */
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_run(r.loop);
	assert_int_equal(r.count, 2);
	assert_false(watch_is_active(&w));
	close(fds[0]);
	close(fds[1]);
	loop_free(&r.loop);
}

static void
on_hup(int sig, void *arg)
{
	struct record *r = arg;

	assert_int_equal(sig, SIGHUP);
	r->count++;
	loop_stop(r->loop);
}

static void
on_send_hup(struct timer *t, void *arg)
{
	(void)t;
	(void)arg;
	kill(getpid(), SIGHUP);
}

static void
on_too_late(struct timer *t, void *arg)
{
	(void)t;
	(void)arg;
	fail_msg("the signal was not noticed");
}

static void
signal_is_noticed(void **state)
{
	struct record r = {.loop = loop_new()};
	struct timer t, late;

	(void)state;
	loop_on_signal(r.loop, SIGHUP, on_hup, &r);
	timer_init(&t, r.loop, on_send_hup, NULL);
	timer_init(&late, r.loop, on_too_late, NULL);
	timer_start_ms(&t, 1);
	timer_start_ms(&late, 20000);
	loop_run(r.loop);
	assert_int_equal(r.count, 1);
	timer_stop(&late);
	/* A signal watcher alone does not keep the loop running. */
	loop_run(r.loop);
	loop_on_signal(r.loop, SIGHUP, NULL, NULL);
	loop_free(&r.loop);
}

static void
on_child(pid_t pid, int status, void *arg)
{
	struct record *r = arg;

	(void)pid;
	r->count++;
	r->status = status;
}

static void
child_exit_is_noticed(void **state)
{
	struct record r = {.loop = loop_new()};
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		usleep(10000);
		_exit(7);
	}
	loop_on_child(r.loop, pid, on_child, &r);
	loop_run(r.loop);
	assert_int_equal(r.count, 1);
	assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7);
	loop_free(&r.loop);
}

/* Ended and not reaped before we ask; reaped by somebody else. */
static void
child_that_is_gone(void **state)
{
	struct record r = {.loop = loop_new()};
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	usleep(20000);
	loop_on_child(r.loop, pid, on_child, &r);
	loop_run(r.loop);
	assert_int_equal(r.count, 1);
	assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 0);
	loop_on_child(r.loop, pid, on_child, &r);
	loop_run(r.loop);
	assert_int_equal(r.count, 2);
	assert_int_equal(WEXITSTATUS(r.status), 255);
	loop_free(&r.loop);
}

static void
two_loops(void **state)
{
	struct record a = {.loop = loop_new()};
	struct record b = {.loop = loop_new()};
	pid_t pa = fork();
	pid_t pb;

	(void)state;
	if (pa == 0)
		_exit(1);
	pb = fork();
	if (pb == 0)
		_exit(2);
	loop_on_child(a.loop, pa, on_child, &a);
	loop_on_child(b.loop, pb, on_child, &b);
	loop_run(a.loop);
	assert_int_equal(WEXITSTATUS(a.status), 1);
	assert_int_equal(b.count, 0);
	loop_run(b.loop);
	assert_int_equal(WEXITSTATUS(b.status), 2);
	loop_free(&a.loop);
	loop_free(&b.loop);
}

static void
child_forgets_the_loop(void **state)
{
	struct record r = {.loop = loop_new()};
	pid_t pid;

	(void)state;
	loop_on_signal(r.loop, SIGTERM, on_hup, &r);
	pid = fork();
	if (pid == 0) {
		loop_forget_in_child(r.loop);
		raise(SIGTERM);
		_exit(1);
	}
	loop_on_child(r.loop, pid, on_child, &r);
	loop_run(r.loop);
	assert_true(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGTERM);
	loop_free(&r.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(timer_may_restart_itself),
		cmocka_unit_test(deadline_does_not_overflow),
		cmocka_unit_test(watch_is_level_triggered),
		cmocka_unit_test(signal_is_noticed),
		cmocka_unit_test(child_exit_is_noticed),
		cmocka_unit_test(child_that_is_gone),
		cmocka_unit_test(two_loops),
		cmocka_unit_test(child_forgets_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
