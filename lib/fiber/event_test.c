/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

struct world {
	struct loop *loop;
	struct event event;
	struct gate gate;
	char text[64];
	size_t most;
	int done;
	enum fiber_wake wake;
};

struct member {
	struct world *world;
	struct fiber *fiber;
	char name;
	int64_t ms; /* how long to wait, < 0 for ever */
};

static void
say(struct world *w, char c)
{
	w->text[strlen(w->text)] = c;
}

static void
waits(void *arg)
{
	struct member *m = arg;
	enum fiber_wake wake =
		event_wait(&m->world->event, loop_deadline_ms(m->world->loop, m->ms));

	say(m->world, wake == FIBER_WOKEN ? m->name : wake == FIBER_TIMEOUT ? 't' : 'x');
}

static void
world_init(struct world *w)
{
	*w = (struct world){.loop = loop_new()};
	event_init(&w->event, w->loop);
}

static void
members_spawn(struct world *w, struct member *m, int count, void (*fn)(void *))
{
	for (int i = 0; i < count; i++) {
		m[i].world = w;
		m[i].name = (char)('a' + i);
		m[i].fiber = fiber_spawn(w->loop, "m", fn, &m[i]);
		assert_non_null(m[i].fiber);
	}
}

static void
signals_one_then_all(void *arg)
{
	struct world *w = arg;

	assert_true(event_has_waiters(&w->event));
	event_signal_one(&w->event);
	assert_true(fiber_sleep(w->loop, 5));
	say(w, '|');
	event_signal_all(&w->event);
	assert_false(event_has_waiters(&w->event));
	/* Nobody waits: lost, and harmless. */
	event_signal_one(&w->event);
}

static void
one_then_all(void **state)
{
	struct world w;
	struct member m[3] = {{.ms = -1}, {.ms = -1}, {.ms = -1}};

	(void)state;
	world_init(&w);
	members_spawn(&w, m, 3, waits);
	assert_non_null(fiber_spawn(w.loop, "s", signals_one_then_all, &w));
	loop_run(w.loop);
	assert_string_equal(w.text, "a|bc");
	loop_free(&w.loop);
}

static void
times_out(void **state)
{
	struct world w;
	struct member m[1] = {{.ms = 5}};

	(void)state;
	world_init(&w);
	members_spawn(&w, m, 1, waits);
	loop_run(w.loop);
	assert_string_equal(w.text, "t");
	assert_false(event_has_waiters(&w.event));
	loop_free(&w.loop);
}

static void
cancels_first_signals_one(void *arg)
{
	struct member *m = arg;

	fiber_cancel(m[0].fiber);
	/* The cancelled one is no longer a waiter: the signal goes to the next. */
	event_signal_one(&m->world->event);
}

static void
signal_is_not_lost_on_the_cancelled(void **state)
{
	struct world w;
	struct member m[2] = {{.ms = -1}, {.ms = -1}};

	(void)state;
	world_init(&w);
	members_spawn(&w, m, 2, waits);
	assert_non_null(fiber_spawn(w.loop, "c", cancels_first_signals_one, m));
	loop_run(w.loop);
	assert_string_equal(w.text, "xb");
	loop_free(&w.loop);
}

static void
passes_gate(void *arg)
{
	struct member *m = arg;
	struct world *w = m->world;

	if (gate_enter(&w->gate, LOOP_FOREVER) != FIBER_WOKEN) {
		say(w, 'x');
		return;
	}
	w->most = MAX_OF(w->most, w->gate.inside);
	say(w, m->name);
	IGNORE(fiber_sleep(w->loop, 2));
	gate_leave(&w->gate);
}

static void
gate_limits_in_order(void **state)
{
	struct world w;
	struct member m[7] = {{0}};

	(void)state;
	world_init(&w);
	gate_init(&w.gate, w.loop, 2);
	members_spawn(&w, m, 7, passes_gate);
	loop_run(w.loop);
	assert_string_equal(w.text, "abcdefg");
	assert_int_equal(w.most, 2);
	assert_int_equal(w.gate.inside, 0);
	loop_free(&w.loop);
}

static void
tries_gate(void *arg)
{
	struct member *m = arg;
	struct world *w = m->world;

	assert_false(gate_try_enter(&w->gate));
	w->wake = gate_enter(&w->gate, loop_deadline_ms(w->loop, 5));
	fiber_cancel(m->fiber);
	assert_int_equal(gate_enter(&w->gate, LOOP_FOREVER), FIBER_CANCELLED);
	assert_int_equal(w->gate.inside, 1);
}

static void
gate_waits_for_a_time(void **state)
{
	struct world w;
	struct member m[1] = {{0}};

	(void)state;
	world_init(&w);
	gate_init(&w.gate, w.loop, 1);
	assert_true(gate_try_enter(&w.gate));
	members_spawn(&w, m, 1, tries_gate);
	loop_run(w.loop);
	assert_int_equal(w.wake, FIBER_TIMEOUT);
	gate_leave(&w.gate);
	assert_int_equal(w.gate.inside, 0);
	assert_true(gate_try_enter(&w.gate));
	gate_leave(&w.gate);
	loop_free(&w.loop);
}

static void
raises_limit(void *arg)
{
	struct world *w = arg;

	assert_int_equal(w->gate.inside, 0);
	gate_set_limit(&w->gate, 3);
	assert_int_equal(w->gate.inside, 3);
}

static void
gate_limit_can_change(void **state)
{
	struct world w;
	struct member m[4] = {{0}};

	(void)state;
	world_init(&w);
	gate_init(&w.gate, w.loop, 0);
	members_spawn(&w, m, 4, passes_gate);
	assert_non_null(fiber_spawn(w.loop, "r", raises_limit, &w));
	loop_run(w.loop);
	assert_string_equal(w.text, "abcd");
	assert_int_equal(w.gate.inside, 0);
	loop_free(&w.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_then_all),
		cmocka_unit_test(times_out),
		cmocka_unit_test(signal_is_not_lost_on_the_cancelled),
		cmocka_unit_test(gate_limits_in_order),
		cmocka_unit_test(gate_waits_for_a_time),
		cmocka_unit_test(gate_limit_can_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
