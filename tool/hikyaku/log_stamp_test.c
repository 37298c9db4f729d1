/* SPDX-License-Identifier: Apache-2.0 */
#include "log_stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/macros.h"

/* 2026-11-24 12:00:00 UTC */
enum { NOON = 1795521600, DAY = 86400 };

static int
use_utc(void **state)
{
	IGNORE(state == NULL);
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void
stamps(void **state)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: not a stamp */
		const char *rest;
	} rows[] = {
		{"Nov 24 12:00:00 host", NOON * INT64_C(1000000), "host"},
		{"Nov 04 12:00:00 host", (NOON - 20 * DAY) * INT64_C(1000000), "host"},
		{"Nov  4 12:00:00 host", (NOON - 20 * DAY) * INT64_C(1000000), "host"},
		{"nov 24 2025 12:00:00 h", (NOON - 365 * DAY) * INT64_C(1000000), "h"},
		/* More than a day ahead: that was last year. */
		{"Dec  1 12:00:00 h", (NOON + 7 * DAY - 365 * DAY) * INT64_C(1000000),
		 "h"},
		{"Nov 25 11:59:59 h", (NOON + DAY - 1) * INT64_C(1000000), "h"},
		{"2026-11-24T12:00:00Z h", NOON * INT64_C(1000000), "h"},
		{"2026-11-24 12:00:00 h", NOON * INT64_C(1000000), "h"},
		{"2026-11-24T21:00:00.25+09:00 h", NOON * INT64_C(1000000) + 250000, "h"},
		{"2026-11-24T07:00:00,5-0500 h", NOON * INT64_C(1000000) + 500000, "h"},
		{"2026-11-24T12:00:00.1234567891234Z h", NOON * INT64_C(1000000) + 123456,
		 "h"},
		{"Feb 29 00:00:00 h", 1709164800 * INT64_C(1000000), "h"}, /* 2024 */
		{"Nov 32 12:00:00 h", -1, NULL},
		{"Nov 24 24:00:00 h", -1, NULL},
		{"Nox 24 12:00:00 h", -1, NULL},
		{"2026-13-24T12:00:00Z h", -1, NULL},
		{"2026-11-24", -1, NULL},
		{"", -1, NULL},
		{"Nov", -1, NULL},
		{"Nov 24 12:00:0", -1, NULL},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rest = str_from(rows[i].text);
		int64_t us = -1;
		bool ok = log_stamp_parse(&rest, NOON, &us);

		assert_int_equal(us, rows[i].us);
		assert_int_equal(ok, rows[i].us != -1);
		assert_true(str_eq(rest, str_from(ok ? rows[i].rest : rows[i].text)));
	}
}

static void
what_people_type(void **state)
{
	static const struct {
		const char *text;
		bool end;
		int64_t us; /* -1: not a time */
	} rows[] = {
		{"now", false, NOON * INT64_C(1000000)},
		{"today", false, (NOON - DAY / 2) * INT64_C(1000000)},
		{"today", true, (NOON + DAY / 2) * INT64_C(1000000) - 1},
		{"yesterday", false, (NOON - DAY / 2 - DAY) * INT64_C(1000000)},
		{"90m", false, (NOON - 5400) * INT64_C(1000000)},
		{"2h ago", false, (NOON - 7200) * INT64_C(1000000)},
		{"3d", true, (NOON - 3 * DAY) * INT64_C(1000000)},
		{"1w", false, (NOON - 7 * DAY) * INT64_C(1000000)},
		{"@1795521600", false, NOON * INT64_C(1000000)},
		{"10:30", false, (NOON - 5400) * INT64_C(1000000)},
		{"10:30:01", true, (NOON - 5399) * INT64_C(1000000)},
		{"2026-11-24", false, (NOON - DAY / 2) * INT64_C(1000000)},
		{"2026-11-24", true, (NOON + DAY / 2) * INT64_C(1000000) - 1},
		{"2026-11-24 12:00", true, NOON * INT64_C(1000000)},
		{"2026-11-24T21:00+09", true, NOON * INT64_C(1000000)},
		{"Nov 24", false, (NOON - DAY / 2) * INT64_C(1000000)},
		{" Nov 24 12:00 ", false, NOON * INT64_C(1000000)},
		{"soon", false, -1},
		{"", false, -1},
		{"5x", false, -1},
		{"2026-11-24 12:00 or so", false, -1},
	};

	IGNORE(state == NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t us = -1;
		bool ok = log_stamp_parse_when(str_from(rows[i].text), NOON, rows[i].end,
					       &us);

		assert_int_equal(us, rows[i].us);
		assert_int_equal(ok, rows[i].us != -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamps),
		cmocka_unit_test(what_people_type),
	};

	return cmocka_run_group_tests(tests, use_utc, NULL);
}
