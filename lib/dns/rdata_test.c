/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/rdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"

#define DATA(literal) STR_INIT(literal)

#define LABEL_63                                                                         \
	"\x3f"                                                                           \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct row {
	const char *name;
	enum dns_type type;
	struct str data;
	bool ok;
	const char *text;
	int64_t preference, weight, port;
};

/* clang-format off */
static const struct row rows[] = {
	{"address", DNS_TYPE_A, DATA("\xc0\x00\x02\x01"), true, "192.0.2.1", 0, 0, 0},
	{"address too short", DNS_TYPE_A, DATA("\xc0\x00\x02"), false, NULL, 0, 0, 0},
	{"address too long", DNS_TYPE_A, DATA("\xc0\x00\x02\x01\x01"), false, NULL, 0, 0, 0},
	{"no address", DNS_TYPE_A, DATA(""), false, NULL, 0, 0, 0},
	{"v6", DNS_TYPE_AAAA, DATA(" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"), true, "2001:db8::1", 0, 0, 0},
	{"v6 of 15 bytes", DNS_TYPE_AAAA, DATA(" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"), false, NULL, 0, 0, 0},
	{"mx", DNS_TYPE_MX, DATA("\0\x0a\x02mx\x07" "example\0"), true, "mx.example", 10, 0, 0},
	{"mx with the highest preference", DNS_TYPE_MX, DATA("\xff\xff\x02mx\0"), true, "mx", 65535, 0, 0},
	{"null mx", DNS_TYPE_MX, DATA("\0\0\0"), true, "", 0, 0, 0},
	{"mx without name", DNS_TYPE_MX, DATA("\0\x0a"), false, NULL, 0, 0, 0},
	{"mx of one byte", DNS_TYPE_MX, DATA("\0"), false, NULL, 0, 0, 0},
	{"mx with a tail", DNS_TYPE_MX, DATA("\0\x0a\x02mx\0x"), false, NULL, 0, 0, 0},
	{"mx with a blank", DNS_TYPE_MX, DATA("\0\x0a\x03m x\0"), false, NULL, 0, 0, 0},
	{"mx with a NUL", DNS_TYPE_MX, DATA("\0\x0a\x03m\0x\0"), false, NULL, 0, 0, 0},
	{"mx with a dot in a label", DNS_TYPE_MX, DATA("\0\x0a\x03m.x\0"), false, NULL, 0, 0, 0},
	{"mx with a newline", DNS_TYPE_MX, DATA("\0\x0a\x03m\nx\0"), false, NULL, 0, 0, 0},
	{"mx with bytes above 127", DNS_TYPE_MX, DATA("\0\x0a\x02\xc3\xa9\0"), false, NULL, 0, 0, 0},
	{"mx with an underscore", DNS_TYPE_MX, DATA("\0\x0a\x03m_x\0"), true, "m_x", 10, 0, 0},
	{"mx with a hyphen first", DNS_TYPE_MX, DATA("\0\x0a\x03-mx\0"), false, NULL, 0, 0, 0},
	{"mx that is an address", DNS_TYPE_MX, DATA("\0\x0a\x03" "192\x01" "0\x01" "2\x01" "1\0"), false, NULL, 0, 0, 0},
	{"pointer in a name", DNS_TYPE_MX, DATA("\0\x0a\x02mx\xc0\x0c"), false, NULL, 0, 0, 0},
	{"label beyond the end", DNS_TYPE_MX, DATA("\0\x0a\x09mx\0"), false, NULL, 0, 0, 0},
	{"name without root", DNS_TYPE_MX, DATA("\0\x0a\x02mx"), false, NULL, 0, 0, 0},
	{"label of 63", DNS_TYPE_MX, DATA("\0\x0a" LABEL_63 "\0"), true,
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 10, 0, 0},
	{"name too long", DNS_TYPE_MX,
	 DATA("\0\x0a" LABEL_63 LABEL_63 LABEL_63 LABEL_63 "\0"), false, NULL, 0, 0, 0},
	{"name much too long", DNS_TYPE_MX,
	 DATA("\0\x0a" LABEL_63 LABEL_63 LABEL_63 LABEL_63 LABEL_63 "\0"), false, NULL, 0, 0, 0},
	{"ns", DNS_TYPE_NS, DATA("\x02ns\x01x\0"), true, "ns.x", 0, 0, 0},
	{"ptr", DNS_TYPE_PTR, DATA("\x04host\0"), true, "host", 0, 0, 0},
	{"ptr to the root", DNS_TYPE_PTR, DATA("\0"), false, NULL, 0, 0, 0},
	{"cname", DNS_TYPE_CNAME, DATA("\x01" "a\x01" "b\0"), true, "a.b", 0, 0, 0},
	{"srv", DNS_TYPE_SRV, DATA("\0\x01\0\x02\x02\x4b\x04mail\0"), true, "mail", 1, 2, 587},
	{"srv: decidedly not here", DNS_TYPE_SRV, DATA("\0\0\0\0\0\0\0"), true, "", 0, 0, 0},
	{"srv without port", DNS_TYPE_SRV, DATA("\0\x01\0\x02"), false, NULL, 0, 0, 0},
	{"txt", DNS_TYPE_TXT, DATA("\x03" "abc"), true, "abc", 0, 0, 0},
	{"txt of two strings", DNS_TYPE_TXT, DATA("\x03" "abc\x02" "de"), true, "abcde", 0, 0, 0},
	{"empty string", DNS_TYPE_TXT, DATA("\0"), true, "", 0, 0, 0},
	{"txt without strings", DNS_TYPE_TXT, DATA(""), false, NULL, 0, 0, 0},
	{"txt string beyond the end", DNS_TYPE_TXT, DATA("\x04" "abc"), false, NULL, 0, 0, 0},
	{"tlsa", DNS_TYPE_TLSA, DATA("\x03\x01\x01x"), true, "\x03\x01\x01x", 0, 0, 0},
	{"tlsa without data", DNS_TYPE_TLSA, DATA("\x03\x01\x01"), false, NULL, 0, 0, 0},
	{"unknown type", (enum dns_type)99, DATA("abc"), false, NULL, 0, 0, 0},
};
/* clang-format on */

static void
test_rows(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct arena *mem = arena_new();
		struct dns_record r = {.preference = -1};
		bool ok = dns_rdata_parse(mem, row->type, row->data, &r);

		if (ok != row->ok)
			fail_msg("%s: %s", row->name, ok ? "accepted" : "refused");
		if (ok) {
			if (row->text != NULL && !str_eq(r.text, str_from(row->text)))
				fail_msg("%s: \"" PRI_STR "\"", row->name,
					 STR_ARG(r.text));
			assert_int_equal(r.type, row->type);
			assert_int_equal(r.preference, row->preference);
			assert_int_equal(r.weight, row->weight);
			assert_int_equal(r.port, row->port);
		} else {
			assert_int_equal(r.preference, -1);
		}
		arena_free(&mem);
	}
}

/* Whatever is cut off the end of good data, it is not read beyond its end. */
static void
test_cut_short(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t len = 0; len < rows[i].data.len; len++) {
			struct arena *mem = arena_new();
			char *copy = arena_memdup(mem, rows[i].data.p, len);
			struct dns_record r;

			if (dns_rdata_parse(mem, rows[i].type, str_from_mem(copy, len),
					    &r))
				assert_true(r.text.len <= len * 4);
			arena_free(&mem);
		}
	}
}

static void
test_answers(void **state UNUSED)
{
	struct arena *mem = arena_new();
	struct str good = STR("\0\x0a\x02mx\0");
	struct str bad = STR("\0\x0a\x02m x\0");
	struct str many[DNS_RECORDS_MAX + 20];
	struct str mixed[] = {bad, STR("\0\x0a\x02mx"), good};
	struct dns_answer a;

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = STR("\0\x0a\x02mx\0");
	mixed[0] = STR("\0\x0a\x03m x\0");
	dns_answer_parse(mem, DNS_TYPE_MX, mixed, 3, 77, &a);
	assert_int_equal(a.result, DNS_FOUND);
	assert_int_equal(a.n_records, 1);
	assert_int_equal(a.records[0].ttl, 77);
	dns_answer_parse(mem, DNS_TYPE_MX, mixed, 2, 77, &a);
	assert_int_equal(a.result, DNS_MALFORMED);
	assert_int_equal(a.n_records, 0);
	dns_answer_parse(mem, DNS_TYPE_MX, NULL, 0, 77, &a);
	assert_int_equal(a.result, DNS_NODATA);
	dns_answer_parse(mem, DNS_TYPE_MX, many, ARRAY_LEN(many), 1, &a);
	assert_int_equal(a.n_records, DNS_RECORDS_MAX);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
