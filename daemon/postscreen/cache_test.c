/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache.h"

struct place {
	char folder[64];
	char path[96];
};

static void
make(struct place *p)
{
	snprintf(p->folder, sizeof(p->folder), "/tmp/postscreen_cache.XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/cache", p->folder);
}

static void
unmake(struct place *p)
{
	unlink(p->path);
	assert_int_equal(rmdir(p->folder), 0);
}

static void
append(const struct place *p, const char *text)
{
	FILE *f = fopen(p->path, "a");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_outlives_the_process(void **state UNUSED)
{
	struct stamps in = {.until = {1, 2, 3, 4, 5}};
	struct stamps out;
	struct cache *c;
	struct place p;
	struct err err;

	make(&p);
	for (int round = 0; round < 2; round++) {
		c = cache_new(p.path);
		assert_true(cache_load(c, &err));
		assert_int_equal(cache_find(c, STR("192.0.2.1"), &out), round);
		in.until[1] = 7 + round;
		assert_true(cache_store(c, STR("192.0.2.1"), &in, &err));
		cache_free(&c);
	}
	c = cache_new(p.path);
	assert_true(cache_load(c, &err));
	assert_true(cache_find(c, STR("192.0.2.1"), &out));
	assert_int_equal(out.until[1], 8);
	assert_int_equal(out.until[4], 5);
	cache_free(&c);
	unmake(&p);
}

static void
test_damage_is_skipped(void **state UNUSED)
{
	struct cache *c;
	struct stamps out;
	struct place p;
	struct err err;

	make(&p);
	append(&p, "hikyaku-postscreen 1\nx\n192.0.2.1 1 2 3\n192.0.2.2 1 2 3 4 5 6\n"
		   "192.0.2.3 1 2 -3 4 5\n192.0.2.4 1 2 3 4 5\n192.0.2.5 1 2 3 4 5");
	c = cache_new(p.path);
	assert_true(cache_load(c, &err));
	assert_false(cache_find(c, STR("192.0.2.1"), &out));
	assert_false(cache_find(c, STR("192.0.2.2"), &out));
	assert_false(cache_find(c, STR("192.0.2.3"), &out));
	assert_true(cache_find(c, STR("192.0.2.4"), &out));
	assert_false(cache_find(c, STR("192.0.2.5"), &out));
	cache_free(&c);
	unmake(&p);
}

static void
test_clean(void **state UNUSED)
{
	const struct stamps old = {.until = {10, 0, 0, 0, 0}};
	const struct stamps young = {.until = {10, 100, 0, 0, 0}};
	struct cache *c;
	struct stamps out;
	size_t retained;
	size_t dropped;
	struct place p;
	struct err err;

	make(&p);
	c = cache_new(p.path);
	assert_true(cache_load(c, &err));
	assert_true(cache_store(c, STR("a"), &old, &err));
	assert_true(cache_store(c, STR("b"), &young, &err));
	assert_true(cache_clean(c, 50, &retained, &dropped, &err));
	assert_int_equal(retained, 1);
	assert_int_equal(dropped, 1);
	assert_true(cache_store(c, STR("c"), &young, &err));
	cache_free(&c);
	c = cache_new(p.path);
	assert_true(cache_load(c, &err));
	assert_false(cache_find(c, STR("a"), &out));
	assert_true(cache_find(c, STR("b"), &out));
	assert_true(cache_find(c, STR("c"), &out));
	cache_free(&c);
	unmake(&p);
}

static void
test_todo(void **state UNUSED)
{
	const struct stamps s = {.until = {10, 0, 20, 0, 0}};

	assert_int_equal(stamps_todo(&s, TESTS_EARLY, 10), 1u << TEST_DNSBL);
	assert_int_equal(stamps_todo(&s, TESTS_EARLY, 11), TESTS_EARLY);
	assert_int_equal(stamps_todo(&s, 1u << TEST_PIPELINING, 11), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outlives_the_process),
		cmocka_unit_test(test_damage_is_skipped),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_todo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
