/* SPDX-License-Identifier: Apache-2.0 */
#include "sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static const struct sched_params defaults = {
	.concurrency_limit = 20,
	.recipient_limit = 50,
	.initial_concurrency = 5,
	.positive = {1, FEEDBACK_CONSTANT},
	.negative = {1, FEEDBACK_CONSTANT},
	.failed_cohort_limit = 1,
	.slot_cost = 5,
	.slot_loan = 3,
	.slot_discount = 50,
	.minimum_slots = 3,
	.dead_ms = 300000,
	.transport_dead_ms = 60000,
};

struct fixture {
	struct arena *mem;
	struct sched s;
	struct sched_transport *t;
};

static void
start(struct fixture *f, const struct sched_params *params)
{
	f->mem = arena_new();
	sched_init(&f->s);
	f->t = sched_transport_add(&f->s, STR("smtp"), params);
}

static void
stop(struct fixture *f)
{
	sched_release(&f->s);
	arena_free(&f->mem);
}

static struct sched_message *
message(struct fixture *f, int64_t now_ms)
{
	struct sched_message *m = ARENA_NEW(f->mem, struct sched_message);

	sched_message_init(m, now_ms);
	return m;
}

static void
add(struct fixture *f, struct sched_message *m, const char *destination, int count)
{
	for (int i = 0; i < count; i++)
		sched_add(&f->s, f->t, str_from(destination), m,
			  ARENA_NEW(f->mem, struct sched_recipient));
}

static bool
done(struct fixture *f, struct sched_entry *e, enum sched_outcome outcome, int64_t now_ms)
{
	return sched_done(&f->s, e, outcome, STR("4.4.1"), STR("connect: refused"),
			  now_ms);
}

/* Deliver everything that may go, one at a time; returns the number of entries. */
static int
drain(struct fixture *f, int64_t now_ms)
{
	struct sched_entry *e;
	int n = 0;

	while ((e = sched_take(&f->s, f->t, now_ms)) != NULL) {
		done(f, e, SCHED_OK, now_ms);
		n++;
	}
	return n;
}

static void
test_feedback_parse(void **state)
{
	static const struct {
		struct str text;
		bool ok;
		double number;
		enum sched_feedback_base base;
	} rows[] = {
		{STR_INIT("1"), true, 1, FEEDBACK_CONSTANT},
		{STR_INIT("0.5"), true, 0.5, FEEDBACK_CONSTANT},
		{STR_INIT("1/8"), true, 0.125, FEEDBACK_CONSTANT},
		{STR_INIT("1/concurrency"), true, 1, FEEDBACK_CONCURRENCY},
		{STR_INIT("0.5 / sqrt_concurrency"), true, 0.5, FEEDBACK_SQRT},
		{STR_INIT("0"), true, 0, FEEDBACK_CONSTANT},
		{STR_INIT(""), false, 0, FEEDBACK_CONSTANT},
		{STR_INIT("2"), false, 0, FEEDBACK_CONSTANT},
		{STR_INIT("-1"), false, 0, FEEDBACK_CONSTANT},
		{STR_INIT("1/0"), false, 0, FEEDBACK_CONSTANT},
		{STR_INIT("1/window"), false, 0, FEEDBACK_CONSTANT},
		{STR_INIT("."), false, 0, FEEDBACK_CONSTANT},
	};
	struct sched_feedback got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(sched_feedback_parse(rows[i].text, &got), rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_true(got.number == rows[i].number);
		assert_int_equal(got.base, rows[i].base);
	}
}

/* At first no more than the initial window; then it grows by one per success, up to the
 * limit. */
static void
test_window_grows(void **state)
{
	struct sched_entry *e[64];
	struct fixture f;
	int taken = 0;
	int finished = 0;

	(void)state;
	start(&f, &defaults);
	for (int i = 0; i < 60; i++)
		add(&f, message(&f, 0), "example.org", 1);
	for (int expected = 5; expected <= 20; expected++) {
		while ((e[taken] = sched_take(&f.s, f.t, 1)) != NULL)
			taken++;
		assert_int_equal(taken - finished, expected);
		done(&f, e[finished++], SCHED_OK, 2);
	}
	while ((e[taken] = sched_take(&f.s, f.t, 3)) != NULL)
		taken++;
	assert_int_equal(taken - finished, 20);
	while (finished < taken)
		done(&f, e[finished++], SCHED_OK, 4);
	assert_int_equal(taken + drain(&f, 4), 60);
	stop(&f);
}

/* A full cohort of failures kills the destination; what waits is given back; after a rest
 * it starts with the initial window again. */
static void
test_site_failure(void **state)
{
	struct sched_destination *d;
	struct sched_recipient *r;
	struct sched_message *m;
	struct sched_entry *e[5];
	struct fixture f;
	int back = 0;

	(void)state;
	start(&f, &defaults);
	for (int i = 0; i < 8; i++)
		add(&f, message(&f, 0), "dead.example", 1);
	for (int i = 0; i < 5; i++)
		e[i] = sched_take(&f.s, f.t, 0);
	/* The window shrinks from 5 to 3 and 2 on the way: 1/5 + 1/3 + 1/2 >= 1. */
	assert_false(done(&f, e[0], SCHED_SITE, 10));
	assert_false(done(&f, e[1], SCHED_SITE, 10));
	assert_true(done(&f, e[2], SCHED_SITE, 10));
	d = sched_destination_find(f.t, STR("dead.example"));
	assert_true(sched_destination_is_dead(d, 11));
	assert_true(str_eq(d->dead_reason, STR("connect: refused")));
	while (sched_take_back(&f.s, f.t, d, &m, &r))
		back++;
	assert_int_equal(back, 3);
	assert_int_equal(sched_next_wake_ms(&f.s), 300010);
	assert_true(done(&f, e[3], SCHED_SITE, 20));
	assert_true(done(&f, e[4], SCHED_SITE, 20));
	sched_wake(&f.s, 300010);
	assert_null(sched_destination_find(f.t, STR("dead.example"))); /* forgotten */
	add(&f, message(&f, 300010), "dead.example", 1);
	assert_int_equal(drain(&f, 300010), 1);
	stop(&f);
}

static void
test_agent_failure(void **state)
{
	struct sched_recipient *r;
	struct sched_message *m;
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	add(&f, message(&f, 0), "a.example", 1);
	add(&f, message(&f, 0), "b.example", 1);
	e = sched_take(&f.s, f.t, 0);
	assert_true(done(&f, e, SCHED_AGENT, 0));
	assert_true(sched_transport_is_dead(f.t, 59999));
	assert_null(sched_take(&f.s, f.t, 1));
	assert_true(sched_take_back(&f.s, f.t, NULL, &m, &r));
	assert_false(sched_take_back(&f.s, f.t, NULL, &m, &r));
	sched_wake(&f.s, 60000);
	assert_false(sched_transport_is_dead(f.t, 60000));
	stop(&f);
}

/* 1,000 recipients go in entries of 50. */
static void
test_recipient_limit(void **state)
{
	struct sched_message *m;
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	m = message(&f, 0);
	add(&f, m, "example.org", 1020);
	e = sched_take(&f.s, f.t, 0);
	assert_int_equal(e->count, 50);
	done(&f, e, SCHED_OK, 0);
	assert_int_equal(drain(&f, 0), 20);
	assert_int_equal(m->refs, 0);
	assert_true(list_is_empty(&m->jobs));
	stop(&f);
}

/* A list of 10,000 recipients in 200 entries; a single message that comes later does not
 * wait for all of them. */
static void
test_preemption(void **state)
{
	struct sched_message *list;
	struct sched_message *small;
	struct fixture f;
	int before = 0;

	(void)state;
	start(&f, &defaults);
	list = message(&f, 0);
	small = message(&f, 1000);
	add(&f, list, "example.org", 10000);
	add(&f, small, "example.org", 1);
	for (;;) {
		struct sched_entry *e = sched_take(&f.s, f.t, 2000);

		assert_non_null(e);
		if (e->job->message == small) {
			done(&f, e, SCHED_OK, 2000);
			break;
		}
		before++;
		done(&f, e, SCHED_OK, 2000);
	}
	assert_in_range(before, 1, 10);
	assert_int_equal(before + drain(&f, 2000), 200);
	stop(&f);
}

/* Without preemption it is first come first served. */
static void
test_no_preemption(void **state)
{
	struct sched_params p = defaults;
	struct sched_message *small;
	struct fixture f;
	int before = 0;

	(void)state;
	p.slot_cost = 0;
	start(&f, &p);
	add(&f, message(&f, 0), "example.org", 1000);
	small = message(&f, 0);
	add(&f, small, "example.org", 1);
	for (struct sched_entry *e; (e = sched_take(&f.s, f.t, 0)) != NULL;) {
		before += e->job->message != small;
		assert_true(e->job->message != small || before == 20);
		done(&f, e, SCHED_OK, 0);
	}
	assert_int_equal(before, 20);
	stop(&f);
}

/* A destination that is busy to its limit does not hold up the others. */
static void
test_full_destination(void **state)
{
	struct sched_entry *held[5];
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	for (int i = 0; i < 100; i++)
		add(&f, message(&f, 0), "slow.example", 1);
	for (int i = 0; i < 5; i++)
		held[i] = sched_take(&f.s, f.t, 0);
	assert_null(sched_take(&f.s, f.t, 0));
	add(&f, message(&f, 0), "fast.example", 1);
	e = sched_take(&f.s, f.t, 0);
	assert_non_null(e);
	assert_true(str_eq(e->destination->name, STR("fast.example")));
	done(&f, e, SCHED_OK, 0);
	for (int i = 0; i < 5; i++)
		done(&f, held[i], SCHED_OK, 0);
	assert_int_equal(drain(&f, 0), 95);
	stop(&f);
}

static void
test_rate_delay(void **state)
{
	struct sched_params p = defaults;
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	p.destination_rate_delay_ms = 2000;
	start(&f, &p);
	for (int i = 0; i < 3; i++)
		add(&f, message(&f, 0), "example.org", 1);
	e = sched_take(&f.s, f.t, 0);
	assert_null(sched_take(&f.s, f.t, 0)); /* one at a time */
	done(&f, e, SCHED_OK, 100);
	assert_null(sched_take(&f.s, f.t, 2099));
	assert_int_equal(sched_next_wake_ms(&f.s), 2100);
	sched_wake(&f.s, 2100);
	e = sched_take(&f.s, f.t, 2100);
	assert_non_null(e);
	done(&f, e, SCHED_OK, 2100);
	sched_wake(&f.s, 4100);
	assert_int_equal(drain(&f, 4100), 1);
	stop(&f);
}

static void
test_transport_rate_delay(void **state)
{
	struct sched_params p = defaults;
	struct fixture f;

	(void)state;
	p.transport_rate_delay_ms = 1000;
	start(&f, &p);
	add(&f, message(&f, 0), "a.example", 1);
	add(&f, message(&f, 0), "b.example", 1);
	assert_int_equal(drain(&f, 0), 1);
	assert_int_equal(sched_next_wake_ms(&f.s), 1000);
	assert_int_equal(drain(&f, 1000), 1);
	stop(&f);
}

static void
test_agents_max(void **state)
{
	struct sched_entry *e[2];
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	f.t->agents_max = 2;
	for (int i = 0; i < 4; i++)
		add(&f, message(&f, 0), i % 2 == 0 ? "a.example" : "b.example", 1);
	e[0] = sched_take(&f.s, f.t, 0);
	e[1] = sched_take(&f.s, f.t, 0);
	assert_non_null(e[1]);
	assert_null(sched_take(&f.s, f.t, 0));
	done(&f, e[0], SCHED_OK, 0);
	done(&f, e[1], SCHED_OK, 0);
	assert_int_equal(drain(&f, 0), 2);
	stop(&f);
}

static void
test_room(void **state)
{
	struct sched_params params = defaults;
	struct sched_message *big;
	struct sched_message *small;
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	params.memory_limit = 100;
	params.memory_extra = 30;
	params.recipient_limit = 1;
	params.concurrency_limit = 0;
	start(&f, &params);
	big = message(&f, 0);
	add(&f, big, "a", 90);
	assert_int_equal(sched_room(f.t, big), 10);
	small = message(&f, 0);
	add(&f, small, "a", 2);
	/* Whoever waits, there is one limit. */
	assert_int_equal(sched_room(f.t, big), 8);
	assert_int_equal(sched_room(f.t, small), 8);
	/* With an agent they are still in memory; then no more. */
	for (int i = 0; i < 30 && small->refs == 2; i++) {
		e = sched_take(&f.s, f.t, 1000);
		assert_non_null(e);
		if (e->job->message == small) {
			/* It overtook, so it may have more. */
			assert_int_equal(sched_room(f.t, small),
					 sched_room(f.t, big) + 30);
		}
		done(&f, e, SCHED_OK, 1000);
	}
	assert_int_equal(small->refs, 1);
	assert_int_equal(sched_room(f.t, big), 100 - big->refs - small->refs);
	drain(&f, 1000);
	assert_int_equal(sched_room(f.t, big), 100);
	stop(&f);
}

static void
test_revive_all(void **state)
{
	struct sched_destination *d;
	struct sched_message *m;
	struct sched_recipient *r;
	struct sched_params p = defaults;
	struct fixture f;

	(void)state;
	p.initial_concurrency = 1;
	start(&f, &p);
	add(&f, message(&f, 0), "dead.example", 1);
	assert_true(done(&f, sched_take(&f.s, f.t, 0), SCHED_SITE, 0));
	d = sched_destination_find(f.t, STR("dead.example"));
	assert_false(sched_take_back(&f.s, f.t, d, &m, &r));
	sched_revive_all(&f.s, 5);
	assert_false(sched_destination_is_dead(d, 5));
	add(&f, message(&f, 5), "dead.example", 1);
	assert_int_equal(drain(&f, 5), 1);
	stop(&f);
}

/* One message that was asked for revives what it needs, nothing else. */
static void
test_revive_one(void **state)
{
	static const char *const names[] = {"a.example", "b.example"};
	struct sched_destination *d[2];
	struct sched_message *m;
	struct sched_recipient *r;
	struct sched_params p = defaults;
	struct fixture f;

	(void)state;
	p.initial_concurrency = 1;
	start(&f, &p);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		add(&f, message(&f, 0), names[i], 1);
		assert_true(done(&f, sched_take(&f.s, f.t, 0), SCHED_SITE, 0));
		d[i] = sched_destination_find(f.t, str_from(names[i]));
		assert_false(sched_take_back(&f.s, f.t, d[i], &m, &r));
	}
	sched_revive(&f.s, f.t, d[0], 5);
	assert_false(sched_destination_is_dead(d[0], 5));
	assert_true(sched_destination_is_dead(d[1], 5));
	sched_revive(&f.s, f.t, NULL, 5);
	add(&f, message(&f, 5), "a.example", 1);
	assert_int_equal(drain(&f, 5), 1);
	stop(&f);
}

/* A destination that has been idle for long is forgotten; until then its window is kept.
 */
static void
test_idle_destination_goes(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	add(&f, message(&f, 0), "example.org", 1);
	assert_int_equal(drain(&f, 1000), 1);
	sched_wake(&f.s, 5000);
	assert_non_null(sched_destination_find(f.t, STR("example.org")));
	assert_int_equal(sched_next_wake_ms(&f.s), 11000);
	sched_wake(&f.s, 11000);
	assert_null(sched_destination_find(f.t, STR("example.org")));
	stop(&f);
}

static void
test_connection_hints(void **state)
{
	struct sched_entry *e;
	struct fixture f;

	(void)state;
	start(&f, &defaults);
	add(&f, message(&f, 0), "example.org", 1);
	e = sched_take(&f.s, f.t, 100);
	assert_false(e->conn_load);
	assert_false(e->conn_store);
	done(&f, e, SCHED_OK, 200);
	add(&f, message(&f, 300), "example.org", 1);
	e = sched_take(&f.s, f.t, 300);
	assert_true(e->conn_load);
	assert_true(e->conn_store);
	done(&f, e, SCHED_OK, 300);
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_feedback_parse),
		cmocka_unit_test(test_window_grows),
		cmocka_unit_test(test_site_failure),
		cmocka_unit_test(test_agent_failure),
		cmocka_unit_test(test_recipient_limit),
		cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_no_preemption),
		cmocka_unit_test(test_full_destination),
		cmocka_unit_test(test_rate_delay),
		cmocka_unit_test(test_transport_rate_delay),
		cmocka_unit_test(test_agents_max),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_revive_all),
		cmocka_unit_test(test_revive_one),
		cmocka_unit_test(test_idle_destination_goes),
		cmocka_unit_test(test_connection_hints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
