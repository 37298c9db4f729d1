/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

static void
test_levels(void **state UNUSED)
{
	enum tls_level level;

	assert_true(tls_level_parse(STR("Encrypt"), &level));
	assert_int_equal(level, TLS_LEVEL_ENCRYPT);
	assert_true(tls_level_parse(STR("dane-only"), &level));
	assert_true(tls_level_checks_peer(level));
	assert_false(tls_level_checks_peer(TLS_LEVEL_HALF_DANE));
	assert_false(tls_level_parse(STR("half-dane"), &level));
	assert_false(tls_level_parse(STR(""), &level));
	assert_string_equal(tls_level_name(TLS_LEVEL_FINGERPRINT), "fingerprint");
}

static void
test_protocols(void **state UNUSED)
{
	static const struct {
		const char *list;
		int min, max;
		unsigned excluded;
	} rows[] = {
		{"", 0, 0, 0},
		{">=TLSv1", 0x301, 0, 0},
		{">=TLSv1.2, <=TLSv1.3", 0x303, 0x304, 0},
		{">=0303", 0x303, 0, 0},
		{"!SSLv2 !SSLv3:!tlsv1", 0, 0,
		 TLS_BIT_SSLV2 | TLS_BIT_SSLV3 | TLS_BIT_TLSV1},
		{"TLSv1.2,TLSv1.3", 0, 0,
		 TLS_BIT_SSLV2 | TLS_BIT_SSLV3 | TLS_BIT_TLSV1 | TLS_BIT_TLSV1_1},
		{"TLSv1.2 TLSv1.3 !TLSv1.3", 0, 0, 63 & ~TLS_BIT_TLSV1_2},
	};
	static const char *const bad[] = {"TLSv1.4", ">=",    "!",
					  "0303",    ">=303", ">=030g"};
	struct tls_protocols p;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(tls_protocols_parse(str_from(rows[i].list), &p, &err));
		assert_int_equal(p.min, rows[i].min);
		assert_int_equal(p.max, rows[i].max);
		assert_int_equal(p.excluded, rows[i].excluded);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(tls_protocols_parse(str_from(bad[i]), &p, &err));
	assert_false(tls_protocols_parse(STR("TLSv1.2,foo"), &p, &err));
	assert_string_equal(err.text, "Invalid TLS protocol list \"TLSv1.2,foo\"");
}

static void
test_ciphers(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct str exclude[] = {STR("aNULL, MD5"), STR(""), STR("kRSA+AES")};
	enum tls_grade grade;
	struct str out;
	struct err err;

	assert_true(tls_ciphers_make(mem, STR("HIGH"), exclude, 3, &out, &err));
	assert_true(str_eq(out, STR("HIGH:!aNULL:!MD5:!kRSA+AES")));
	exclude[1] = STR("-MD5");
	assert_false(tls_ciphers_make(mem, STR("HIGH"), exclude, 3, &out, &err));
	assert_true(tls_grade_parse(STR("High"), &grade));
	assert_int_equal(grade, TLS_GRADE_HIGH);
	assert_false(tls_grade_parse(STR("higher"), &grade));
	arena_free(&mem);
}

static void
test_log(void **state UNUSED)
{
	struct str bad;

	assert_int_equal(tls_log_parse(STR("0"), &bad), 0);
	assert_int_equal(tls_log_parse(STR("1"), &bad), TLS_LOG_SUMMARY);
	assert_int_equal(tls_log_parse(STR("4"), &bad), 511);
	assert_int_equal(bad.len, 0);
	assert_int_equal(tls_log_parse(STR("summary, foo, CACHE bar"), &bad),
			 TLS_LOG_SUMMARY | TLS_LOG_CACHE);
	assert_true(str_eq(bad, STR("foo")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
