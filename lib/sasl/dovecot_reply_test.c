/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "sasl/dovecot_reply.h"
#include "sasl/mechanism.h"

static const struct {
	struct str line;
	struct dovecot_reply want;
} good[] = {
#define T(s) STR_INIT(s)
	{T("VERSION\t1\t2"), {DOVECOT_VERSION, 1, T(""), T(""), 0, false, false}},
	{T("MECH\tPLAIN\tplaintext\tfoo"),
	 {DOVECOT_MECH, 0, T("PLAIN"), T(""), SASL_PLAINTEXT, false, false}},
	{T("MECH\tX\tdictionary\tactive\tprivate"),
	 {DOVECOT_MECH, 0, T("X"), T(""), SASL_DICTIONARY | SASL_ACTIVE_ATTACK, true,
	  false}},
	{T("SPID\t5"), {DOVECOT_SPID, 0, T(""), T(""), 0, false, false}},
	{T("COOKIE\tabc"), {DOVECOT_OTHER, 0, T(""), T(""), 0, false, false}},
	{T("DONE"), {DOVECOT_DONE, 0, T(""), T(""), 0, false, false}},
	{T("OK\t4294967295\tx=y\tuser=bob\tz"),
	 {DOVECOT_OK, 4294967295u, T(""), T("bob"), 0, false, false}},
	{T("OK\t1\tuser=a\001tb\0011c\001nd\001"),
	 {DOVECOT_OK, 1, T(""), T("a\tb\001c\nd\001"), 0, false, false}},
	{T("CONT\t2\tYWJj"), {DOVECOT_CONT, 2, T("YWJj"), T(""), 0, false, false}},
	{T("CONT\t2\t"), {DOVECOT_CONT, 2, T(""), T(""), 0, false, false}},
	{T("CONT\t2"), {DOVECOT_CONT, 2, T(""), T(""), 0, false, false}},
	{T("FAIL\t3\tuser=bob\treason=no way\ttemp"),
	 {DOVECOT_FAIL, 3, T("no way"), T("bob"), 0, false, true}},
	{T("FAIL\t3\tcode=temp_fail"), {DOVECOT_FAIL, 3, T(""), T(""), 0, false, true}},
	{T("FAIL\t3\tauthz\tcode=user_disabled"),
	 {DOVECOT_FAIL, 3, T(""), T(""), 0, false, false}},
#undef T
};

static void
test_good(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct dovecot_reply *want = &good[i].want;
		struct arena *mem = arena_new();
		struct dovecot_reply r;

		assert_true(dovecot_reply_parse(mem, good[i].line, &r));
		assert_int_equal(r.kind, want->kind);
		assert_int_equal(r.number, want->number);
		assert_true(str_eq(r.text, want->text));
		assert_true(str_eq(r.user, want->user));
		assert_int_equal(r.properties, want->properties);
		assert_int_equal(r.is_private, want->is_private);
		assert_int_equal(r.is_temporary, want->is_temporary);
		arena_free(&mem);
	}
}

static void
test_bad(void **state UNUSED)
{
	static const struct str rows[] = {
		STR_INIT(""),
		STR_INIT("\tOK"),
		STR_INIT("VERSION"),
		STR_INIT("OK\tx"),
		STR_INIT("OK\t-1"),
		STR_INIT("FAIL"),
		STR_INIT("CONT\t"),
		STR_INIT("MECH"),
		STR_INIT("MECH\ta b"),
		STR_INIT("MECH\t"),
		STR_INIT("OK\t4294967296"),
		STR_INIT("MECH\tABCDEFGHIJKLMNOPQRSTUVWXYZ0123456"),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct dovecot_reply r;

		assert_false(dovecot_reply_parse(mem, rows[i], &r));
		arena_free(&mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
