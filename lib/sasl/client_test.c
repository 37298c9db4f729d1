/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/base64.h"
#include "sasl/client.h"

static void
assert_str(struct str got, struct str want)
{
	if (!str_eq(got, want))
		print_error("got  " PRI_STR "\nwant " PRI_STR "\n", STR_ARG(got),
			    STR_ARG(want));
	assert_true(str_eq(got, want));
}

static struct sasl_client *
new_client(struct arena *mem, const char *mechanism, struct str user, struct str password,
	   const char *nonce)
{
	struct sasl_credentials *who = ARENA_NEW(mem, struct sasl_credentials);
	struct sasl_client *c;
	struct err err;

	*who = (struct sasl_credentials){.authzid = STR_EMPTY,
					 .user = user,
					 .password = password,
					 .host = STR("server.example.com"),
					 .port = 143,
					 .binding_type = STR("tls-exporter"),
					 .binding_data = STR("binding")};
	assert_true(sasl_client_new(mem, mechanism, who, nonce, &c, &err));
	return c;
}

/* RFC 5802 section 5 and RFC 7677 section 3. */
static const struct {
	const char *mechanism, *nonce;
	struct str first, challenge, last, verdict;
} scram_rows[] = {
	{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
	 STR_INIT("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
	 STR_INIT("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
		  "i=4096"),
	 STR_INIT("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		  "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
	 STR_INIT("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")},
	{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
	 STR_INIT("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
	 STR_INIT("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		  "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
	 STR_INIT("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
	 STR_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")},
};

static void
test_scram_vectors(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(scram_rows); i++) {
		struct arena *mem = arena_new();
		struct sasl_client *c =
			new_client(mem, scram_rows[i].mechanism, STR("user"),
				   STR("pencil"), scram_rows[i].nonce);
		struct str out;
		struct err err;

		assert_true(sasl_client_first(c, mem, &out));
		assert_str(out, scram_rows[i].first);
		assert_true(
			sasl_client_step(c, mem, scram_rows[i].challenge, &out, &err));
		assert_str(out, scram_rows[i].last);
		assert_false(sasl_client_is_satisfied(c));
		assert_true(sasl_client_step(c, mem, scram_rows[i].verdict, &out, &err));
		assert_str(out, STR_EMPTY);
		assert_true(sasl_client_is_satisfied(c));
		assert_false(sasl_client_step(c, mem, STR_EMPTY, &out, &err));
		arena_free(&mem);
	}
}

/* A server that does not know the password, or is not the one that was asked. */
static void
test_scram_refusals(void **state UNUSED)
{
	static const struct str firsts[] = {
		STR_INIT(""),
		STR_INIT("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
		STR_INIT("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
		STR_INIT("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"),
		STR_INIT("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z!,i=4096"),
		STR_INIT("r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096"),
		STR_INIT("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0"),
		STR_INIT("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001"),
	};
	static const struct str verdicts[] = {
		STR_INIT(""),
		STR_INIT("e=invalid-proof"),
		STR_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="),
		STR_INIT("v=6rri"),
	};
	struct str out;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		struct arena *mem = arena_new();
		struct sasl_client *c = new_client(mem, "SCRAM-SHA-256", STR("user"),
						   STR("pencil"), scram_rows[1].nonce);

		assert_true(sasl_client_first(c, mem, &out));
		assert_false(sasl_client_step(c, mem, firsts[i], &out, &err));
		arena_free(&mem);
	}
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		struct arena *mem = arena_new();
		struct sasl_client *c = new_client(mem, "SCRAM-SHA-256", STR("user"),
						   STR("pencil"), scram_rows[1].nonce);

		assert_true(sasl_client_first(c, mem, &out));
		assert_true(
			sasl_client_step(c, mem, scram_rows[1].challenge, &out, &err));
		assert_false(sasl_client_step(c, mem, verdicts[i], &out, &err));
		assert_false(sasl_client_is_satisfied(c));
		arena_free(&mem);
	}
}

static void
test_scram_plus(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct sasl_client *c =
		new_client(mem, "SCRAM-SHA-256-PLUS", STR("a,b=c"), STR("pencil"), "abc");
	struct str part;
	struct str raw;
	struct str out;
	struct err err;

	assert_true(sasl_client_first(c, mem, &out));
	assert_str(out, STR("p=tls-exporter,,n=a=2Cb=3Dc,r=abc"));
	assert_true(sasl_client_step(c, mem, STR("r=abcd,s=c2FsdA==,i=1"), &out, &err));
	assert_true(str_split(str_skip(out, 2), ',', &part, &out));
	assert_true(base64_decode(mem, part, &raw));
	assert_str(raw, STR("p=tls-exporter,,binding"));
	arena_free(&mem);
}

static void
test_single_messages(void **state UNUSED)
{
	static const struct {
		const char *mechanism;
		struct str message;
	} rows[] = {
		{"PLAIN", STR_INIT("\0tim\0tanstaaftanstaaf")},
		{"XOAUTH2", STR_INIT("user=tim\001auth=Bearer tanstaaftanstaaf\001\001")},
		{"OAUTHBEARER",
		 STR_INIT("n,a=tim,\001host=server.example.com\001port=143\001"
			  "auth=Bearer tanstaaftanstaaf\001\001")},
		{"EXTERNAL", STR_INIT("")},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();
		struct sasl_client *c = new_client(mem, rows[i].mechanism, STR("tim"),
						   STR("tanstaaftanstaaf"), NULL);
		struct str out;
		struct err err;

		assert_true(sasl_client_first(c, mem, &out));
		assert_str(out, rows[i].message);
		assert_true(sasl_client_is_satisfied(c));
		/* The same after an empty challenge, without an initial response. */
		c = new_client(mem, rows[i].mechanism, STR("tim"),
			       STR("tanstaaftanstaaf"), NULL);
		assert_true(sasl_client_step(c, mem, STR_EMPTY, &out, &err));
		assert_str(out, rows[i].message);
		arena_free(&mem);
	}
}

static void
test_token_refused(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct sasl_client *c =
		new_client(mem, "OAUTHBEARER", STR("u"), STR("token"), NULL);
	struct str out;
	struct err err;

	assert_true(sasl_client_first(c, mem, &out));
	assert_true(sasl_client_step(c, mem, STR("{\"status\":\"invalid_token\"}"), &out,
				     &err));
	assert_str(out, STR("\001"));
	assert_str(sasl_client_reason(c), STR("{\"status\":\"invalid_token\"}"));
	assert_false(sasl_client_is_satisfied(c));
	assert_false(sasl_client_step(c, mem, STR("x"), &out, &err));
	arena_free(&mem);
}

static void
test_dialogues(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct sasl_client *c = new_client(mem, "LOGIN", STR("tim"), STR("secret"), NULL);
	struct str out;
	struct err err;

	assert_false(sasl_client_first(c, mem, &out));
	assert_true(sasl_client_step(c, mem, STR("Username:"), &out, &err));
	assert_str(out, STR("tim"));
	assert_false(sasl_client_is_satisfied(c));
	assert_true(sasl_client_step(c, mem, STR("Password:"), &out, &err));
	assert_str(out, STR("secret"));
	assert_true(sasl_client_is_satisfied(c));
	assert_false(sasl_client_step(c, mem, STR("?"), &out, &err));
	/* RFC 2195 section 2. */
	c = new_client(mem, "CRAM-MD5", STR("tim"), STR("tanstaaftanstaaf"), NULL);
	assert_false(sasl_client_first(c, mem, &out));
	assert_true(sasl_client_step(
		c, mem, STR("<1896.697170952@postoffice.reston.mci.net>"), &out, &err));
	assert_str(out, STR("tim b913a602c7eda7a495b4e6e7334d3890"));
	assert_false(sasl_client_step(c, mem, STR("again"), &out, &err));
	arena_free(&mem);
}

static bool
not_login(void *arg UNUSED, struct str name)
{
	return !str_eq(name, STR("LOGIN"));
}

static void
test_choice(void **state UNUSED)
{
	const struct str all = STR("LOGIN PLAIN cram-md5 SCRAM-SHA-1 SCRAM-SHA-256 "
				   "SCRAM-SHA-256-PLUS XOAUTH2 EXTERNAL FOO");
	struct sasl_credentials who = {.user = STR("u"), .password = STR("p")};
	struct sasl_security none = {0, 0};
	struct sasl_security no_plain;
	const char *name = NULL;
	struct err err;

	assert_true(sasl_client_choose(all, &none, &who, NULL, NULL, &name));
	assert_string_equal(name, "SCRAM-SHA-256");
	who.binding_data = STR("x");
	assert_true(sasl_client_choose(all, &none, &who, NULL, NULL, &name));
	assert_string_equal(name, "SCRAM-SHA-256-PLUS");
	who.is_token = true;
	assert_true(sasl_client_choose(all, &none, &who, NULL, NULL, &name));
	assert_string_equal(name, "XOAUTH2");
	who.has_certificate = true;
	assert_true(sasl_client_choose(all, &none, &who, NULL, NULL, &name));
	assert_string_equal(name, "EXTERNAL");
	who.is_token = who.has_certificate = false;
	assert_true(
		sasl_security_parse(STR("noplaintext, noanonymous"), &no_plain, &err));
	assert_false(sasl_client_choose(STR("PLAIN LOGIN"), &no_plain, &who, NULL, NULL,
					&name));
	assert_true(sasl_client_choose(STR("PLAIN cram-md5"), &no_plain, &who, NULL, NULL,
				       &name));
	assert_string_equal(name, "CRAM-MD5");
	assert_false(
		sasl_client_choose(STR("LOGIN"), &none, &who, not_login, NULL, &name));
	assert_false(sasl_client_choose(STR_EMPTY, &none, &who, NULL, NULL, &name));
	assert_false(sasl_security_parse(STR("noplaintext foo"), &no_plain, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_vectors),
		cmocka_unit_test(test_scram_refusals),
		cmocka_unit_test(test_scram_plus),
		cmocka_unit_test(test_single_messages),
		cmocka_unit_test(test_token_refused),
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
