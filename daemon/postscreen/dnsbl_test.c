/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"

#include "dnsbl.h"

static void
test_sites(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct dnsbl d;
	struct err err;

	assert_true(dnsbl_parse(
		mem,
		STR("a.example*2, b.example=127.0.0.[2..4;9]*-3 A.example=127.0.0.9"), &d,
		&err));
	assert_int_equal(d.n_sites, 3);
	assert_int_equal(d.n_domains, 2);
	assert_int_equal(d.sites[1].weight, -3);
	assert_int_equal(d.sites[2].weight, 1);
	assert_int_equal(d.sites[2].domain, 0);
	arena_free(&mem);
}

static void
test_errors(void **state UNUSED)
{
	static const char *const bad[] = {"a.example*x", "a.example*",
					  "=127.0.0.2",  "a.example=127.0.0",
					  "a:b.example", "a.example=127.0.0.[4..2]"};
	struct arena *mem = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct dnsbl d;
		struct err err;

		assert_false(dnsbl_parse(mem, str_from(bad[i]), &d, &err));
		assert_int_equal(err.kind, ERR_CONFIG);
	}
	arena_free(&mem);
}

static void
test_score(void **state UNUSED)
{
	const struct dns_record records[] = {
		{.type = DNS_TYPE_A, .text = STR_INIT("127.0.0.3")},
		{.type = DNS_TYPE_A, .text = STR_INIT("127.0.0.4")}};
	struct dns_answer answer = {
		.result = DNS_FOUND, .records = records, .n_records = 2};
	struct arena *mem = arena_new();
	struct dnsbl d;
	struct err err;

	assert_true(dnsbl_parse(mem, STR("a*2 a=127.0.0.[2..4]*3 a=127.0.0.9*10 b*100"),
				&d, &err));
	assert_int_equal(dnsbl_score(&d, 0, &answer), 5);
	assert_int_equal(dnsbl_score(&d, 1, &answer), 100);
	answer.result = DNS_NXDOMAIN;
	assert_int_equal(dnsbl_score(&d, 0, &answer), 0);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_score),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
