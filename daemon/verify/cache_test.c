/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an address is asked for, which result counts, and what the file keeps.
 */
#include "cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/map.h"

enum { T0 = 1000000, GOOD_LIFE = 1000, GOOD_AGE = 500, BAD_LIFE = 300, BAD_AGE = 100 };

struct fixture {
	struct verify_config config;
	struct cache cache;
	char dir[64];
	char path[80];
};

static void
open_cache(struct fixture *f, int64_t now)
{
	struct err err;

	cache_init(&f->cache, &f->config, f->path);
	assert_true(cache_open(&f->cache, now, &err));
}

static void
start(struct fixture *f)
{
	*f = (struct fixture){.config = {
				      .address_verify_negative_cache = true,
				      .address_verify_positive_expire_time = GOOD_LIFE,
				      .address_verify_positive_refresh_time = GOOD_AGE,
				      .address_verify_negative_expire_time = BAD_LIFE,
				      .address_verify_negative_refresh_time = BAD_AGE,
			      }};
	snprintf(f->dir, sizeof(f->dir), "/tmp/verify_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/cache", f->dir);
	open_cache(f, T0);
}

static void
stop(struct fixture *f)
{
	cache_release(&f->cache);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
}

static void
expect(struct fixture *f, const char *address, int64_t now, enum verify_result status,
       const char *reason, bool probe)
{
	struct str text;
	bool wants;

	assert_int_equal(cache_query(&f->cache, str_from(address), now, &text, &wants),
			 status);
	assert_int_equal(text.len, str_from(reason).len);
	assert_memory_equal(text.p, reason, text.len);
	assert_int_equal(wants, probe);
}

static const char pending[] = "Address verification in progress";

static void
test_probes(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	expect(&f, "a@x", T0, VERIFY_PENDING, pending, true);
	expect(&f, "a@x", T0 + 1, VERIFY_PENDING, pending, false);
	/* That one was lost. */
	expect(&f, "a@x", T0 + CACHE_PROBE_S + 1, VERIFY_PENDING, pending, true);
	cache_probe_failed(&f.cache, STR("a@x"));
	expect(&f, "a@x", T0 + CACHE_PROBE_S + 2, VERIFY_PENDING, pending, true);
	stop(&f);
}

static void
test_results(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	cache_update(&f.cache, STR("a@x"), VERIFY_OK, STR("yes"), T0);
	expect(&f, "a@x", T0 + GOOD_AGE, VERIFY_OK, "yes", false);
	expect(&f, "a@x", T0 + GOOD_AGE + 1, VERIFY_OK, "yes", true);
	/* A failure does not count against what still holds. */
	cache_update(&f.cache, STR("a@x"), VERIFY_BOUNCE, STR("no"), T0 + GOOD_AGE + 2);
	expect(&f, "a@x", T0 + GOOD_LIFE, VERIFY_OK, "yes", false);
	expect(&f, "a@x", T0 + GOOD_LIFE + 1, VERIFY_PENDING, pending, true);
	cache_update(&f.cache, STR("a@x"), VERIFY_BOUNCE, STR("no"), T0 + GOOD_LIFE + 2);
	expect(&f, "a@x", T0 + GOOD_LIFE + 2 + BAD_AGE, VERIFY_BOUNCE, "no", false);
	expect(&f, "a@x", T0 + GOOD_LIFE + 3 + BAD_AGE, VERIFY_BOUNCE, "no", true);
	cache_update(&f.cache, STR("a@x"), VERIFY_DEFER, STR("later"), T0 + 2000);
	expect(&f, "a@x", T0 + 2000 + BAD_LIFE, VERIFY_DEFER, "later", true);
	expect(&f, "a@x", T0 + 2001 + BAD_LIFE, VERIFY_PENDING, pending, true);
	stop(&f);
}

static void
test_without_failures(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	f.config.address_verify_negative_cache = false;
	expect(&f, "a@x", T0, VERIFY_PENDING, pending, true);
	expect(&f, "a@x", T0, VERIFY_PENDING, pending, true);
	stop(&f);
}

static void
test_file(void **state)
{
	struct fixture f;
	struct str text;
	struct err err;
	struct arena *mem = arena_new();
	size_t kept;
	size_t dropped;

	(void)state;
	start(&f);
	cache_update(&f.cache, STR("\"a b\"@x"), VERIFY_OK, STR("yes\r\nx"), T0);
	cache_update(&f.cache, STR("b@x"), VERIFY_BOUNCE, STR("no"), T0);
	cache_update(&f.cache, STR("c@x"), VERIFY_DEFER, STR("later"), T0);
	cache_update(&f.cache, STR("c@x"), VERIFY_OK, STR(""), T0);
	cache_update(&f.cache, STR("line\nb@x\t0\t0\t999\t"), VERIFY_OK, STR("x"), T0);
	expect(&f, "d@x", T0, VERIFY_PENDING, pending, true);
	cache_release(&f.cache);
	open_cache(&f, T0 + 10);
	expect(&f, "\"a b\"@x", T0 + 10, VERIFY_OK, "yes??x", false);
	expect(&f, "b@x", T0 + 10, VERIFY_BOUNCE, "no", false);
	expect(&f, "c@x", T0 + 10, VERIFY_OK, "", false);
	expect(&f, "d@x", T0 + 10, VERIFY_PENDING, pending, false);
	assert_int_equal(map_count(f.cache.entries), 4);
	assert_int_equal(f.cache.n_lines, 5);

	cache_expire(&f.cache, T0 + BAD_LIFE + 1, &kept, &dropped);
	assert_int_equal(kept, 3);
	assert_int_equal(dropped, 1);
	cache_release(&f.cache);
	open_cache(&f, T0 + 10);
	assert_int_equal(map_count(f.cache.entries), 3);
	assert_true(cache_rewrite(&f.cache, &err));
	assert_int_equal(f.cache.n_lines, 3);
	cache_update(&f.cache, STR("e@x"), VERIFY_OK, STR("more"), T0);
	assert_true(io_read_file(mem, AT_FDCWD, f.path, 65536, &text, &err));
	assert_true(str_ends(text, STR("\ne@x\t0\t0\t1000000\tmore\n")));
	arena_free(&mem);
	stop(&f);
}

static void
test_broken_file(void **state)
{
	static const char content[] = "a@x\t0\t0\t1000000\tyes\n"
				      "b@x\t9\t0\t1000000\tyes\n"
				      "c@x\t0\tx\t1000000\tyes\n"
				      "\t0\t0\t1000000\tyes\n"
				      "nothing\n\n"
				      "f@x\t0\t0\t99999999999\tfuture\n"
				      "g@x\t0\t0\t1000000\tcut of";
	struct fixture f;
	struct err err;

	(void)state;
	start(&f);
	cache_release(&f.cache);
	assert_true(io_replace_file(f.path, str_from(content), 0600, &err));
	open_cache(&f, T0);
	assert_int_equal(map_count(f.cache.entries), 2);
	expect(&f, "a@x", T0, VERIFY_OK, "yes", false);
	expect(&f, "f@x", T0 + GOOD_LIFE + 1, VERIFY_PENDING, pending, true);
	stop(&f);
}

static void
test_stale_file(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	for (int i = 0; i < 1003; i++) {
		assert_false(cache_is_stale(&f.cache));
		cache_update(&f.cache, STR("a@x"), VERIFY_OK, STR("yes"), T0);
	}
	assert_true(cache_is_stale(&f.cache));
	stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_without_failures),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_broken_file),
		cmocka_unit_test(test_stale_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
