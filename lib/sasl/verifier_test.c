/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side against our own client, and rows of passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "sasl/client.h"
#include "sasl/secret.h"
#include "sasl/verifier.h"

static const unsigned char key[SECRET_KEY_BYTES] = {1, 2, 3};

/* A whole SCRAM log-in: does the server accept, does the client believe it? */
static bool
log_in(struct str password, const struct secret *keys, bool *client_ok_out)
{
	struct arena *mem = arena_new();
	struct verifier *v = verifier_new(mem, STR("scram-sha-256"), NULL);
	struct sasl_credentials who = {
		.authzid = STR_EMPTY, .user = STR("b,=ob"), .password = password};
	enum verifier_status status;
	struct sasl_client *c;
	struct str message;
	struct str out;
	struct err err;
	bool ok = false;

	assert_true(sasl_client_new(mem, "SCRAM-SHA-256", &who, NULL, &c, &err));
	assert_true(sasl_client_first(c, mem, &message));
	assert_int_equal(verifier_step(v, &message, &out), VERIFIER_LOOKUP);
	assert_true(str_eq(verifier_user(v), STR("b,=ob")));
	assert_int_equal(verifier_supply(v, keys, &out), VERIFIER_MORE);
	assert_true(sasl_client_step(c, mem, out, &message, &err));
	status = verifier_step(v, &message, &out);
	if (status == VERIFIER_MORE) {
		*client_ok_out = sasl_client_step(c, mem, out, &message, &err) &&
				 sasl_client_is_satisfied(c);
		message = STR_EMPTY;
		ok = verifier_step(v, &message, &out) == VERIFIER_DONE;
		assert_int_equal(verifier_step(v, &message, &out), VERIFIER_FAIL);
	}
	arena_free(&mem);
	return ok;
}

static void
test_scram(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct secret keys;
	struct str row;
	struct err err;
	bool believes = false;

	assert_true(secret_make(mem, STR("pencil"), true, &row, &err));
	assert_true(secret_parse(row, &keys, &err));
	assert_true(log_in(STR("pencil"), &keys, &believes));
	assert_true(believes);
	assert_false(log_in(STR("pencils"), &keys, &believes));
	/* Right client, and a server that only has half of the keys. */
	memset(keys.server_key, 0, sizeof(keys.server_key));
	assert_true(log_in(STR("pencil"), &keys, &believes));
	assert_false(believes);
	secret_decoy(STR("b,=ob"), key, SECRET_SCRAM, &keys);
	assert_false(log_in(STR("pencil"), &keys, &believes));
	arena_free(&mem);
}

static void
test_scram_messages(void **state UNUSED)
{
	static const struct str rows[] = {
		STR_INIT(""),
		STR_INIT("n"),
		STR_INIT("n,"),
		STR_INIT("n,,"),
		STR_INIT("n,,n=,r=x"),
		STR_INIT("n,,n=u"),
		STR_INIT("n,,n=u,r="),
		STR_INIT("x,,n=u,r=x"),
		STR_INIT("p=tls-exporter,,n=u,r=x"),
		STR_INIT("n,a=other,n=u,r=x"),
		STR_INIT("n,b=u,n=u,r=x"),
		STR_INIT("n,,n=a=2,r=x"),
		STR_INIT("n,,n=a=2cb,r=x"),
		STR_INIT("n,,m=ext,n=u,r=x"),
		STR_INIT("n,,n=u\n,r=x"),
	};
	struct str good = STR("y,a=u,n=u,r=x");
	struct str out;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct verifier *v = verifier_new(mem, STR("SCRAM-SHA-256"), "n");

		assert_int_equal(verifier_step(v, &rows[i], &out), VERIFIER_FAIL);
		arena_free(&mem);
	}
	for (size_t i = 0; i < 3; i++) {
		static const struct str last[] = {
			STR_INIT("c=eSxhPXUs,r=xn,p=AAAA"),
			STR_INIT("c=biws,r=xn,p="
				 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
			STR_INIT("c=eSxhPXUs,r=xn"),
		};
		struct arena *mem = arena_new();
		struct verifier *v = verifier_new(mem, STR("SCRAM-SHA-256"), "n");
		struct secret keys;

		secret_decoy(STR("u"), key, SECRET_SCRAM, &keys);
		assert_int_equal(verifier_step(v, &good, &out), VERIFIER_LOOKUP);
		assert_int_equal(verifier_supply(v, &keys, &out), VERIFIER_MORE);
		assert_true(str_starts(out, STR("r=xn,s=")));
		assert_int_equal(verifier_step(v, &last[i], &out), VERIFIER_FAIL);
		arena_free(&mem);
	}
}

static void
test_plain(void **state UNUSED)
{
	static const struct {
		struct str message;
		enum verifier_status status;
	} rows[] = {
		{STR_INIT("\0bob\0secret"), VERIFIER_CHECK},
		{STR_INIT("bob\0bob\0secret"), VERIFIER_CHECK},
		{STR_INIT("eve\0bob\0secret"), VERIFIER_FAIL},
		{STR_INIT("\0bob\0"), VERIFIER_FAIL},
		{STR_INIT("\0\0secret"), VERIFIER_FAIL},
		{STR_INIT("\0bob"), VERIFIER_FAIL},
		{STR_INIT("bob"), VERIFIER_FAIL},
		{STR_INIT(""), VERIFIER_FAIL},
		{STR_INIT("\0bob\0a\0b"), VERIFIER_FAIL},
		{STR_INIT("\0b\tob\0a"), VERIFIER_FAIL},
		{STR_INIT("\0\xff\0a"), VERIFIER_FAIL},
	};
	struct str out;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct verifier *v = verifier_new(mem, STR("PLAIN"), NULL);

		assert_int_equal(verifier_step(v, NULL, &out), VERIFIER_MORE);
		assert_int_equal(verifier_step(v, &rows[i].message, &out),
				 rows[i].status);
		if (rows[i].status == VERIFIER_CHECK) {
			assert_true(str_eq(verifier_user(v), STR("bob")));
			assert_true(str_eq(verifier_password(v), STR("secret")));
		}
		arena_free(&mem);
	}
}

static void
test_login(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct verifier *v = verifier_new(mem, STR("login"), NULL);
	struct str user = STR("bob");
	struct str password = STR("secret");
	struct str out;

	assert_int_equal(verifier_step(v, NULL, &out), VERIFIER_MORE);
	assert_true(str_eq(out, STR("Username:")));
	assert_int_equal(verifier_step(v, &user, &out), VERIFIER_MORE);
	assert_true(str_eq(out, STR("Password:")));
	assert_int_equal(verifier_step(v, &password, &out), VERIFIER_CHECK);
	assert_true(str_eq(verifier_password(v), STR("secret")));
	v = verifier_new(mem, STR("LOGIN"), NULL);
	assert_int_equal(verifier_step(v, &user, &out), VERIFIER_MORE);
	assert_int_equal(verifier_step(v, &password, &out), VERIFIER_CHECK);
	assert_null(verifier_new(mem, STR("CRAM-MD5"), NULL));
	arena_free(&mem);
}

/* Hashes that others have made: of "secret". */
static void
test_rows(void **state UNUSED)
{
	static const struct str good[] = {
		STR_INIT("$6$saltsalt$Q1aPKiMJpEPQZzPjUEgKpSqRSc5N2FU7iyI1/"
			 "s8Fpq1gqaT4EOB6d6"
			 "a7X5U8WYcsVE3sLEiqvlA4jVvUzTOS91"),
	};
	static const struct str bad[] = {
		STR_INIT(""),
		STR_INIT("secret"),
		STR_INIT("{PLAIN}secret"),
		STR_INIT("{SCRAM-SHA-256}"),
		STR_INIT("{SCRAM-SHA-256}4096,c2FsdA==,AAAA,AAAA"),
		STR_INIT("{SCRAM-SHA-256}0,c2FsdA==,AAAA,AAAA"),
		STR_INIT("{SCRAM-SHA-256}9999999,c2FsdA==,AAAA,AAAA"),
		STR_INIT("{SCRAM-SHA-256}4096,,AAAA,AAAA"),
	};
	struct secret s;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(secret_parse(good[i], &s, &err));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(secret_parse(bad[i], &s, &err));
}

static void
test_make(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct secret s;
	struct str row;
	struct err err;

	for (int scram = 0; scram < 2; scram++) {
		assert_true(secret_make(mem, STR("p\xc3\xa4ss"), scram != 0, &row, &err));
		assert_true(secret_parse(row, &s, &err));
		assert_int_equal(s.kind, scram ? SECRET_SCRAM : SECRET_CRYPT);
		assert_true(secret_matches(&s, STR("p\xc3\xa4ss")));
		assert_false(secret_matches(&s, STR("p\xc3\xa4s")));
		assert_false(secret_matches(&s, STR_EMPTY));
		secret_decoy(STR("u"), key, s.kind, &s);
		assert_false(secret_matches(&s, STR("p\xc3\xa4ss")));
	}
	assert_false(secret_make(mem, STR_EMPTY, false, &row, &err));
	assert_false(secret_make(mem, STR("a\0b"), false, &row, &err));
	arena_free(&mem);
}

/* The same for the same user, another one for another. */
static void
test_decoy(void **state UNUSED)
{
	struct secret a, b;

	secret_decoy(STR("u"), key, SECRET_SCRAM, &a);
	secret_decoy(STR("u"), key, SECRET_SCRAM, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	secret_decoy(STR("v"), key, SECRET_SCRAM, &b);
	assert_memory_not_equal(a.salt, b.salt, a.salt_len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram), cmocka_unit_test(test_scram_messages),
		cmocka_unit_test(test_plain), cmocka_unit_test(test_login),
		cmocka_unit_test(test_rows),  cmocka_unit_test(test_make),
		cmocka_unit_test(test_decoy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
