/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/reverse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "dns/dns.h"

static const struct {
	const char *address, *zone;
	const char *name; /* NULL: none */
} rows[] = {
	{"192.0.2.7", "", "7.2.0.192.in-addr.arpa"},
	{"192.0.2.7", "list.example", "7.2.0.192.list.example"},
	{"2001:db8::1", "",
	 "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
	{"2001:0DB8:0::0001", "z",
	 "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.z"},
	{"", "", NULL},
	{"unknown", "", NULL},
	{"192.0.2", "list.example", NULL},
	{"[192.0.2.7]", "", NULL},
};

static void
test_names(void **state)
{
	struct arena *mem = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str name = STR_EMPTY;
		bool ok = dns_reverse_name(mem, str_from(rows[i].address),
					   str_from(rows[i].zone), &name);

		assert_int_equal(ok, rows[i].name != NULL);
		if (ok)
			assert_string_equal(str_c(mem, name), rows[i].name);
	}
	arena_free(&mem);
}

static void
test_too_long(void **state)
{
	struct arena *mem = arena_new();
	char zone[250];
	struct str name;

	(void)state;
	for (size_t i = 0; i < sizeof(zone); i++)
		zone[i] = 'z';
	assert_false(dns_reverse_name(mem, STR("192.0.2.7"),
				      str_from_mem(zone, sizeof(zone)), &name));
	arena_free(&mem);
}

static void
test_has_address(void **state)
{
	static const struct dns_record records[] = {
		{.type = DNS_TYPE_A, .text = STR_INIT("192.0.2.7")},
		{.type = DNS_TYPE_AAAA, .text = STR_INIT("2001:db8::1")},
		{.type = DNS_TYPE_MX, .text = STR_INIT("mx.example")},
	};
	const struct dns_answer answer = {.records = records,
					  .n_records = ARRAY_LEN(records)};
	const struct dns_answer none = {.n_records = 0};

	(void)state;
	assert_true(dns_answer_has_address(&answer, STR("192.0.2.7")));
	assert_true(dns_answer_has_address(&answer, STR("2001:0DB8:0::1")));
	assert_false(dns_answer_has_address(&answer, STR("192.0.2.8")));
	assert_false(dns_answer_has_address(&answer, STR("mx.example")));
	assert_false(dns_answer_has_address(&answer, STR("")));
	assert_false(dns_answer_has_address(&none, STR("192.0.2.7")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_has_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
