/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts and rates over time, the end of who told of them, and peaks.
 */
#include "counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

struct fixture {
	struct counts counts;
	struct counts_owner one, two;
};

static void
start(struct fixture *f)
{
	counts_init(&f->counts, 60);
	counts_owner_init(&f->one);
	counts_owner_init(&f->two);
}

static void
stop(struct fixture *f)
{
	counts_owner_release(&f->counts, &f->one);
	counts_owner_release(&f->counts, &f->two);
	counts_release(&f->counts);
}

static void
expect(struct fixture *f, struct counts_owner *o, const char *client,
       enum anvil_event event, time_t now, int64_t count, int64_t rate)
{
	int64_t got_count;
	int64_t got_rate;

	counts_add(&f->counts, o, str_from(client), event, now, &got_count, &got_rate);
	assert_int_equal(got_count, count);
	assert_int_equal(got_rate, rate);
}

static void
test_counts(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	expect(&f, &f.one, "smtp:a", ANVIL_CONNECT, 1000, 1, 1);
	expect(&f, &f.two, "smtp:a", ANVIL_CONNECT, 1000, 2, 2);
	expect(&f, &f.one, "smtp:b", ANVIL_CONNECT, 1000, 1, 1);
	expect(&f, &f.one, "smtp:a", ANVIL_DISCONNECT, 1000, 0, 0);
	expect(&f, &f.one, "smtp:a", ANVIL_CONNECT, 1001, 2, 3);
	/* Not told of by this one. */
	expect(&f, &f.two, "smtp:b", ANVIL_DISCONNECT, 1001, 0, 0);
	expect(&f, &f.two, "smtp:b", ANVIL_CONNECT, 1001, 2, 2);
	counts_owner_release(&f.counts, &f.one);
	counts_owner_init(&f.one);
	expect(&f, &f.two, "smtp:a", ANVIL_CONNECT, 1002, 2, 4);
	stop(&f);
}

static void
test_rates(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	expect(&f, &f.one, "x", ANVIL_MESSAGE, 1000, 0, 1);
	expect(&f, &f.one, "x", ANVIL_RECIPIENT, 1000, 0, 1);
	expect(&f, &f.one, "x", ANVIL_RECIPIENT, 1060, 0, 2);
	/* All rates begin anew together. */
	expect(&f, &f.one, "x", ANVIL_RECIPIENT, 1061, 0, 1);
	expect(&f, &f.one, "x", ANVIL_MESSAGE, 1062, 0, 1);
	/* A clock that was set back. */
	expect(&f, &f.one, "x", ANVIL_MESSAGE, 900, 0, 1);
	stop(&f);
}

static void
test_expiry(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	expect(&f, &f.one, "gone", ANVIL_MESSAGE, 1000, 0, 1);
	expect(&f, &f.one, "here", ANVIL_CONNECT, 1000, 1, 1);
	counts_expire(&f.counts, 1060);
	assert_int_equal(map_count(f.counts.clients), 2);
	counts_expire(&f.counts, 1061);
	assert_int_equal(map_count(f.counts.clients), 1);
	expect(&f, &f.one, "here", ANVIL_CONNECT, 2000, 2, 1);
	stop(&f);
}

static void
tell(void *arg, const char *name, bool is_rate, const struct counts_peak *peak)
{
	buf_printf(arg, "%s%s %d " PRI_STR " %d\n", name, is_rate ? "*" : "",
		   (int)peak->value, STR_ARG(peak->client), (int)peak->when);
}

static void
test_peaks(void **state)
{
	struct arena *mem = arena_new();
	struct buf *b = buf_new(mem, 1000);
	struct fixture f;

	(void)state;
	start(&f);
	expect(&f, &f.one, "a", ANVIL_CONNECT, 1000, 1, 1);
	expect(&f, &f.one, "b", ANVIL_CONNECT, 1001, 1, 1);
	expect(&f, &f.one, "b", ANVIL_DISCONNECT, 1002, 0, 0);
	expect(&f, &f.one, "b", ANVIL_CONNECT, 1003, 1, 2);
	expect(&f, &f.one, "a", ANVIL_AUTH, 1004, 1, 1);
	counts_tell_peaks(&f.counts, tell, b);
	assert_string_equal(b->p, "connection rate* 2 b 1003\n"
				  "connection count 1 a 1000\n"
				  "auth rate* 1 a 1004\n"
				  "cache size 2  1001\n");
	buf_clear(b);
	counts_tell_peaks(&f.counts, tell, b);
	assert_int_equal(b->len, 0);
	stop(&f);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_peaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
