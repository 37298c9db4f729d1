/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

/*
 * A zone as text, one record a line: "name TYPE data" or "name TYPE !result". MX data is
 * "preference host". The type "A.native" is what the hosts file says.
 */
struct zone {
	const char *text;
};

static enum dns_result
result_named(struct str name)
{
	static const struct {
		struct str name;
		enum dns_result result;
	} rows[] = {
		{STR_INIT("!again"), DNS_TRY_AGAIN},
		{STR_INIT("!fail"), DNS_FAIL},
		{STR_INIT("!malformed"), DNS_MALFORMED},
		{STR_INIT("!nodata"), DNS_NODATA},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(rows[i].name, name))
			return rows[i].result;
	}
	return DNS_FOUND;
}

static void
zone_add(struct dns_answer *a, struct dns_record *records, enum dns_type type,
	 struct str first, struct str rest)
{
	struct dns_record *r = &records[a->n_records];

	a->result = result_named(first);
	if (a->result != DNS_FOUND)
		return;
	*r = (struct dns_record){.type = type, .text = first};
	if (type == DNS_TYPE_MX) {
		assert_true(str_to_i64(first, 0, 65535, &r->preference));
		r->text = str_trim(rest);
		if (str_eq(r->text, STR(".")))
			r->text = STR_EMPTY;
	}
	a->n_records++;
}

static void
zone_ask(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
	 struct dns_answer *out)
{
	const struct zone *zone = arg;
	struct str wanted =
		str_printf(mem, "%s%s", dns_type_name(type), native ? ".native" : "");
	struct dns_record *records = arena_alloc_array(mem, 50, sizeof(*records));
	struct str rest = str_from(zone->text);
	struct str line;

	*out = (struct dns_answer){.result = DNS_NXDOMAIN, .records = records};
	while (str_line(&rest, &line)) {
		struct str owner;
		struct str rr;
		struct str first = STR_EMPTY;

		if (!str_token(&line, " ", &owner) || !str_token(&line, " ", &rr) ||
		    !str_token(&line, " ", &first) || !str_eq(owner, name))
			continue;
		if (str_eq(rr, wanted))
			zone_add(out, records, type, first, line);
		else if (out->n_records == 0 && out->result == DNS_NXDOMAIN)
			out->result = DNS_NODATA;
	}
}

static const struct lookup_rules plain_rules = {
	.dns = true,
	.use_ipv4 = true,
	.use_ipv6 = true,
	.check_loops = true,
	.address_limit = 5,
};

/* "name[address] name[address]" or "dsn reason". */
static struct str
outcome(struct arena *mem, const char *zone_text, const struct lookup_rules *rules,
	const char *domain, bool mx, unsigned port)
{
	struct zone zone = {zone_text};
	const struct dns_asker asker = {zone_ask, &zone};
	struct buf *out = buf_new(mem, 10000);
	struct lookup_answer a;

	lookup_hosts(mem, &asker, rules, str_from(domain), mx, port, 1, &a);
	assert_int_equal(a.by_mx, mx && !rules->dns_disabled &&
					  strstr(zone_text, "d MX ") != NULL &&
					  strstr(zone_text, "d MX !") == NULL);
	if (a.result == LOOKUP_NO_HOSTS)
		return str_printf(mem, "%s " PRI_STR, a.dsn.status.text,
				  STR_ARG(a.dsn.reason));
	for (size_t i = 0; i < a.n_hosts; i++)
		buf_printf(out, "%s" PRI_STR "[" PRI_STR "]", i == 0 ? "" : " ",
			   STR_ARG(a.hosts[i].name), STR_ARG(a.hosts[i].address));
	return buf_str(out);
}

#define NOT_FOUND(type, name, text)                                                      \
	"Host or domain name not found. Name service error for name=" name " type=" type \
	": " text

static void
test_lookups(void **state)
{
	static const struct {
		const char *what;
		const char *zone;
		const char *expected;
		bool host; /* no MX look-up */
	} rows[] = {
		{"MX by preference",
		 "d MX 20 b\nd MX 10 a\na A 192.0.2.1\nb A 192.0.2.2\n",
		 "a[192.0.2.1] b[192.0.2.2]", false},
		{"both families of one host",
		 "d MX 10 a\na A 192.0.2.1\na AAAA 2001:db8::1\n",
		 "a[192.0.2.1] a[2001:db8::1]", false},
		{"no MX: the domain itself", "d A 192.0.2.9\n", "d[192.0.2.9]", false},
		{"MX without data: the domain itself", "d TXT x\nd AAAA 2001:db8::9\n",
		 "d[2001:db8::9]", false},
		{"brackets: no MX", "d MX 10 a\na A 192.0.2.1\nd A 192.0.2.9\n",
		 "d[192.0.2.9]", true},
		{"unknown domain", "", "5.4.4 " NOT_FOUND("AAAA", "d", "Host not found"),
		 false},
		{"no address", "d TXT x\n",
		 "5.4.4 " NOT_FOUND("AAAA", "d",
				    "Host found but no data record of requested type"),
		 false},
		{"MX server down", "d MX !again\n",
		 "4.4.3 " NOT_FOUND("MX", "d", "Host not found, try again"), false},
		{"MX refused", "d MX !fail\n",
		 "5.4.3 " NOT_FOUND("MX", "d", "Non-recoverable error"), false},
		{"MX malformed", "d MX !malformed\n",
		 "5.4.4 Name service error for name=d type=MX: Malformed or unexpected "
		 "name server "
		 "reply",
		 false},
		{"null MX", "d MX 0 .\n", "5.1.0 Domain d does not accept mail (nullMX)",
		 false},
		{"one MX host fails", "d MX 10 a\nd MX 20 b\na A !again\nb A 192.0.2.2\n",
		 "b[192.0.2.2]", false},
		{"no MX host has an address", "d MX 10 a\nd MX 20 b\n",
		 "5.4.4 " NOT_FOUND("AAAA", "b", "Host not found"), false},
		{"one of them may have later", "d MX 10 a\nd MX 20 b\na A !again\n",
		 "4.4.3 " NOT_FOUND("A", "a", "Host not found, try again"), false},
		{"A server down", "d A !again\nd AAAA !again\n",
		 "4.4.3 " NOT_FOUND("AAAA", "d", "Host not found, try again"), false},
		{"only AAAA fails", "d A 192.0.2.9\nd AAAA !again\n", "d[192.0.2.9]",
		 false},
		{"garbage address is no address", "d A 192.0.2.900\n",
		 "5.4.4 " NOT_FOUND("AAAA", "d",
				    "Host found but no data record of requested type"),
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();

		assert_string_equal(str_c(mem, outcome(mem, rows[i].zone, &plain_rules,
						       "d", !rows[i].host, 25)),
				    rows[i].expected);
		arena_free(&mem);
	}
}

static void
test_loops(void **state)
{
	static const struct str own[] = {STR_INIT("192.0.2.1")};
	static const struct {
		const char *zone;
		const char *expected;
		bool mx;
		unsigned port;
	} rows[] = {
		{"d MX 10 me\nme A 192.0.2.1\n", "5.4.6 mail for d loops back to myself",
		 true, 25},
		{"d A 192.0.2.1\n", "5.4.6 mail for d loops back to myself", true, 25},
		{"d A 192.0.2.1\n", "5.4.6 mail for d loops back to myself", false, 25},
		{"d A 192.0.2.1\n", "d[192.0.2.1]", false, 2525},
		{"d MX 10 a\nd MX 20 me\nd MX 30 c\na A 192.0.2.7\nme A 192.0.2.1\nc A "
		 "192.0.2.8\n",
		 "a[192.0.2.7]", true, 25},
		{"d MX 10 a\nd MX 10 me\na A 192.0.2.7\nme A 192.0.2.1\n",
		 "5.4.6 mail for d loops back to myself", true, 25},
		{"d MX 10 a\nd MX 20 me\nme A 192.0.2.1\n",
		 "4.4.4 unable to find primary relay for d", true, 25},
	};
	struct lookup_rules rules = plain_rules;

	(void)state;
	rules.own = own;
	rules.n_own = ARRAY_LEN(own);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *mem = arena_new();

		assert_string_equal(str_c(mem, outcome(mem, rows[i].zone, &rules, "d",
						       rows[i].mx, rows[i].port)),
				    rows[i].expected);
		arena_free(&mem);
	}
}

static void
test_settings(void **state)
{
	struct arena *mem = arena_new();
	struct lookup_rules r = plain_rules;

	(void)state;
#define GOT(zone, domain) str_c(mem, outcome(mem, zone, &r, domain, true, 25))
	r.ignore_mx_error = true;
	assert_string_equal(GOT("d MX !again\nd A 192.0.2.9\n", "d"), "d[192.0.2.9]");
	r = plain_rules;
	r.defer_if_no_mx_address = true;
	assert_string_equal(
		str_head(str_from(GOT("d MX 10 a\n", "d")), 5).p[0] == '4' ? "4" : "5",
		"4");
	r = plain_rules;
	r.use_ipv6 = false;
	assert_string_equal(GOT("d A 192.0.2.9\nd AAAA 2001:db8::9\n", "d"),
			    "d[192.0.2.9]");
	assert_string_equal(GOT("", "d"), "5.4.4 " NOT_FOUND("A", "d", "Host not found"));
	r.use_ipv4 = false;
	assert_string_equal(GOT("d A 192.0.2.9\n", "d"),
			    "4.4.4 all network protocols are disabled");
	r = plain_rules;
	r.preference = LOOKUP_IPV6;
	assert_string_equal(GOT("d A 192.0.2.9\nd AAAA 2001:db8::9\n", "d"),
			    "d[2001:db8::9] d[192.0.2.9]");
	r = plain_rules;
	r.native = true;
	assert_string_equal(GOT("d A.native 192.0.2.5\n", "d"), "d[192.0.2.5]");
	/* The hosts file does not cover up that DNS is down. */
	assert_string_equal(GOT("d A !again\nd A.native 192.0.2.5\n", "d"),
			    "4.4.3 " NOT_FOUND("A", "d", "Host not found, try again"));
	r.dns_disabled = true;
	assert_string_equal(GOT("d MX 10 a\nd A.native 192.0.2.5\n", "d"),
			    "d[192.0.2.5]");
	r = plain_rules;
	assert_string_equal(GOT("", "192.0.2.77"), "192.0.2.77[192.0.2.77]");
	assert_string_equal(GOT("", "2001:db8::7"), "2001:db8::7[2001:db8::7]");
#undef GOT
	arena_free(&mem);
}

/* Equal preferences change places with the seed; different ones never do. */
static void
test_randomize(void **state)
{
	struct zone zone = {
		"d MX 10 a\nd MX 10 b\nd MX 20 c\na A 192.0.2.1\nb A 192.0.2.2\n"
		"c A 192.0.2.3\n"};
	const struct dns_asker asker = {zone_ask, &zone};
	struct lookup_rules rules = plain_rules;
	int first_a = 0;

	(void)state;
	rules.randomize = true;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct arena *mem = arena_new();
		struct lookup_answer a;

		lookup_hosts(mem, &asker, &rules, STR("d"), true, 25, seed, &a);
		assert_int_equal(a.n_hosts, 3);
		first_a += str_eq(a.hosts[0].name, STR("a"));
		assert_true(str_eq(a.hosts[2].name, STR("c")));
		arena_free(&mem);
	}
	assert_in_range(first_a, 400, 600);
}

/* Five places, six IPv6 and three IPv4 addresses: both families get some. */
static void
test_balance(void **state)
{
	struct zone zone = {
		"d A 192.0.2.1\nd A 192.0.2.2\nd A 192.0.2.3\nd AAAA 2001:db8::1\n"
		"d AAAA 2001:db8::2\nd AAAA 2001:db8::3\nd AAAA 2001:db8::4\n"
		"d AAAA 2001:db8::5\nd AAAA 2001:db8::6\n"};
	const struct dns_asker asker = {zone_ask, &zone};
	struct lookup_rules rules = plain_rules;
	struct arena *mem = arena_new();
	struct lookup_answer a;
	int n4 = 0;

	(void)state;
	rules.balance = true;
	rules.preference = LOOKUP_IPV6;
	lookup_hosts(mem, &asker, &rules, STR("d"), false, 25, 1, &a);
	assert_int_equal(a.n_hosts, 5);
	for (size_t i = 0; i < a.n_hosts; i++)
		n4 += a.hosts[i].sa.ss_family == 2; /* AF_INET */
	assert_int_equal(n4, 2);
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),  cmocka_unit_test(test_loops),
		cmocka_unit_test(test_settings), cmocka_unit_test(test_randomize),
		cmocka_unit_test(test_balance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
