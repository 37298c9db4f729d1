/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of rows marked so are those of a Postfix 3.7, asked by giving its cleanup a
 * message and reading the queue file. */
#include "rewrite/expand.h"

#include "base/buf.h"
#include "base/macros.h"

#include "rewrite/canonical.h"
#include "rewrite/rules_testing.h"

static const char base[] = "compatibility_level = 3.6\n"
			   "myhostname = mx.example.org\n"
			   "mydomain = example.org\n"
			   "myorigin = example.org\n"
			   "mydestination = example.org, localhost, mx.example.org\n"
			   "inet_interfaces = 127.0.0.1\n";

struct row {
	const char *config;
	const char *address;
	const char *answer; /* addresses, joined by " | "; or "!" and the error */
};

#define V    "virtual_alias_maps = inline:{"
#define PLUS "recipient_delimiter = +\n"

static const struct row virtual_rows[] = {
	{V "{u@example.org=x@o.test, y@o.test}}\n", "u@example.org",
	 "x@o.test | y@o.test"},
	{V "{u@example.org=x@o.test, y@o.test}}\n", "A@o.test", "A@o.test"},
	{V "{u=x@o.test y@o.test}}\n", "u@localhost", "x@o.test | y@o.test"},
	{V "{u=x@o.test y@o.test}}\n", "u@o.test", "u@o.test"},
	{V "{u=x@o.test y@o.test}}\n", "u@mx.example.org", "x@o.test | y@o.test"},
	{V "{u=x@o.test y@o.test}}\n", "U@EXAMPLE.org", "x@o.test | y@o.test"},
	{V "{@v.test=@w.test}}\n", "u+e@v.test", "u+e@w.test"},
	{V "{@v.test=@w.test}}\n", "a b@v.test", "a b@w.test"},
	{V "{@v.test=all@w.test}}\n" PLUS, "u+e@v.test", "all@w.test"},
	{V "{u@v.test=x@w.test, y}}\n" PLUS, "u+e@v.test",
	 "x+e@w.test | y+e@example.org"},
	{V "{u@v.test=x@w.test, y}}\n" PLUS, "u+@v.test", "x+@w.test | y+@example.org"},
	{V "{u@v.test=x@w.test}}\n" PLUS "propagate_unmatched_extensions =\n",
	 "u+e@v.test", "x@w.test"},
	{V "{u@v.test=x+z@w.test}}\nrecipient_delimiter = +-\n", "u+e@v.test",
	 "x+z+e@w.test"},
	{V "{u@v.test=x+z@w.test}}\nrecipient_delimiter = +-\n", "u-e@v.test",
	 "x+z-e@w.test"},
	{V "{u+e@v.test=x@w.test},{u@v.test=no}}\n" PLUS, "u+e@v.test", "x@w.test"},
	{V "{u+e@v.test=x@w.test},{u@v.test=no}}\n" PLUS, "u+f@v.test",
	 "no+f@example.org"},
	{V "{a@v.test=a@v.test, b@w.test}}\n", "a@v.test", "a@v.test | b@w.test"},
	{V "{a@v.test=A@v.test, b@w.test}}\n", "a@v.test", "A@v.test | b@w.test"},
	{V "{a@v.test=x@w.test a@v.test}}\n", "a@v.test", "x@w.test | a@v.test"},
	{V "{a@v.test=a}}\n", "a@v.test", "a@example.org"},
	{V "{a@v.test=\"x y\"@w.test, Name <z@w.test> (c), q%r}}\n", "a@v.test",
	 "x y@w.test | z@w.test | q@r"},
	{V "{a@v.test=x@w.test x@w.test X@w.test}}\n", "a@v.test", "x@w.test"},
	{V "{a@v.test=b@v.test c@v.test},{b@v.test=x@w.test},{c@v.test=x@w.test}}\n",
	 "a@v.test", "x@w.test"},
	/* Two ways to one alias. */
	{V "{a@v.test=b@v.test b@v.test},{b@v.test=x@w.test}}\n", "a@v.test", "x@w.test"},
	{V "{a@v.test=b@v.test c@v.test},{b@v.test=d@v.test},{c@v.test=d@v.test},"
	   "{d@v.test=x@w.test y@w.test}}\n",
	 "a@v.test", "x@w.test | y@w.test"},
	{V "{a@v.test=x@w.test c@v.test b@v.test},{b@v.test=c@v.test z@w.test},"
	   "{c@v.test=y@w.test C@v.test}}\n",
	 "a@v.test", "x@w.test | y@w.test | C@v.test | z@w.test"},
	{V "{a@v.test=b@v.test c@w.test},{b@v.test=x@w.test y@w.test}}\n", "a@v.test",
	 "x@w.test | c@w.test | y@w.test"},
	{"virtual_alias_maps = texthash:/nonexistent\n", "a@v.test",
	 "!virtual_alias_maps map lookup problem for a@v.test"},
	{V "{a@v.test=b@w.test c@w.test d@w.test}}\nvirtual_alias_expansion_limit = 2\n",
	 "a@v.test", "!unreasonable virtual_alias_maps map expansion size for a@v.test"},
	{V "{a@v.test=b@w.test c@w.test d@w.test}}\nvirtual_alias_expansion_limit = 3\n",
	 "a@v.test", "b@w.test | c@w.test | d@w.test"},
	{V "{a@v.test=b@v.test},{b@v.test=c@v.test},{c@v.test=d@v.test}}\n"
	   "virtual_alias_recursion_limit = 3\n",
	 "a@v.test", "!unreasonable virtual_alias_maps map nesting for a@v.test"},
	{V "{a@v.test=b@v.test},{b@v.test=c@v.test},{c@v.test=d@v.test}}\n"
	   "virtual_alias_recursion_limit = 4\n",
	 "a@v.test", "d@v.test"},
	{V "{a@v.test=longlonglong@w.test}}\nvirtual_alias_address_length_limit = 10\n",
	 "a@v.test", "!unreasonable virtual_alias_maps result longlonglong@w.test..."},
	{V "{a=x1@w.test},{@example.org=catch@w.test}}\n", "a@example.org", "x1@w.test"},
	{V "{a=x1@w.test},{@example.org=catch@w.test}}\n", "b@example.org",
	 "catch@w.test"},
	{V "{owner-l=o@w.test}}\nrecipient_delimiter = -\n", "owner-l@example.org",
	 "o@w.test"},
	{V "{owner-l=o@w.test}}\nrecipient_delimiter = -\n", "owner-l-x@example.org",
	 "owner-l-x@example.org"},
	{V "{l=o@w.test}}\nrecipient_delimiter = -\n", "l-request@example.org",
	 "l-request@example.org"},
	{V "{l=o@w.test}}\nrecipient_delimiter = -\n", "l-x@example.org", "o-x@w.test"},
	{V "{l=o@w.test}}\nrecipient_delimiter = -\n", "l-@example.org", "o-@w.test"},
	{V "{l=o@w.test}}\nrecipient_delimiter = -\n", "-l@example.org",
	 "-l@example.org"},
	{V "{\"a b\"@v.test=o@w.test}}\n", "a b@v.test", "o@w.test"},
	{V "{a@v.test=,}}\n", "a@v.test",
	 "!virtual_alias_maps map lookup problem for a@v.test"},
	/* Cycles: not asked, the oracle needs too long for one. */
	{V "{a@v.test=b@v.test},{b@v.test=a@v.test}}\n", "a@v.test", "a@v.test"},
	{V "{a@v.test=b@v.test x@w.test},{b@v.test=a@v.test y@w.test}}\n", "a@v.test",
	 "a@v.test | x@w.test | y@w.test"},
	{V "{a@v.test=x@w.test b@v.test},{b@v.test=a@v.test}}\n", "a@v.test", "x@w.test"},
};

#define C "canonical_maps = inline:{"
#define S "sender_canonical_maps = inline:{"
#define R "recipient_canonical_maps = inline:{"

/* Envelope addresses; a sender's begin with "s:", header addresses with "hs:", "hr:". */
static const struct row canonical_rows[] = {
	{C "{a@v.test=b@w.test},{b@w.test=c@w.test}}\n", "a@v.test", "c@w.test"},
	{C "{s@x.test=n@n.test}}\n" S "s@x.test=q@x.test, n@n.test=no@n.test}\n",
	 "s:s@x.test", "q@x.test"},
	{C "{b@w.test=c@w.test}}\n" R "a@v.test=b@w.test}\n", "a@v.test", "c@w.test"},
	{C "{b@w.test=c@w.test}}\n" R "a@v.test=b@w.test}\n", "s:a@v.test", "a@v.test"},
	{C "{u@v.test=x@w.test}}\n" PLUS, "u+e@v.test", "x+e@w.test"},
	{C "{u@v.test=x@w.test}}\n" PLUS "propagate_unmatched_extensions = virtual\n",
	 "u+e@v.test", "x@w.test"},
	{C "{@v.test=@w.test}}\n" PLUS, "u+e@v.test", "u+e@w.test"},
	{C "{a@v.test=a@v.test}}\n", "a@v.test", "a@v.test"},
	{C "{a@v.test=x@w.test, y@w.test}}\n", "a@v.test", "x@w.test"},
	{C "{a@v.test=x}}\n", "a@v.test", "x@example.org"},
	{C "{s@x.test=n@n.test}}\ncanonical_classes = envelope_sender\n", "s:s@x.test",
	 "n@n.test"},
	{C "{s@x.test=n@n.test}}\ncanonical_classes = envelope_sender\n", "s@x.test",
	 "s@x.test"},
	{C "{s@x.test=n@n.test}}\ncanonical_classes = envelope_sender\n", "hs:s@x.test",
	 "s@x.test"},
	{R "s@x.test=n@n.test}\n", "hr:s@x.test", "n@n.test"},
	{C "{a@v.test=b@v.test},{b@v.test=a@v.test}}\n", "a@v.test",
	 "!unreasonable canonical_maps map nesting for a@v.test"},
	{"canonical_maps = texthash:/nonexistent\n", "s:s@x.test",
	 "!canonical_maps map lookup problem for s@x.test"},
	{C "{@example.org=x@w.test}}\n", "s:", ""},
};

static void
check(struct arena *mem, const struct row *row, bool ok, struct str answer,
      const struct err *err)
{
	struct str text = ok ? answer : str_printf(mem, "!%s", err->text);
	struct str want = str_from(row->answer);

	/* A table's own error follows the text that is compared. */
	if (ok ? str_eq(text, want) : err->kind == ERR_TEMP && str_starts(text, want))
		return;
	fail_msg("%s%s: %s, not %s", row->config, row->address, str_c(mem, text),
		 row->answer);
}

static void
test_virtual(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(virtual_rows); i++) {
		const struct row *row = &virtual_rows[i];
		struct arena *mem = arena_new();
		struct buf *joined = buf_new(mem, 10000);
		struct expand_result result = {0};
		struct rewrite_rules rules;
		struct err err;
		bool ok;

		rules_for_test(mem, base, row->config, &rules);
		ok = expand_recipient(mem, &rules, str_from(row->address), &result, &err);
		for (size_t k = 0; k < result.n_addresses; k++)
			buf_printf(joined, "%s" PRI_STR, k > 0 ? " | " : "",
				   STR_ARG(result.addresses[k]));
		check(mem, row, ok, buf_str(joined), &err);
		arena_free(&mem);
	}
}

static enum canonical_kind
take_kind(struct str *address)
{
	static const struct {
		struct str prefix;
		enum canonical_kind kind;
	} prefixes[] = {
		{STR_INIT("s:"), CANONICAL_ENVELOPE_SENDER},
		{STR_INIT("hs:"), CANONICAL_HEADER_SENDER},
		{STR_INIT("hr:"), CANONICAL_HEADER_RECIPIENT},
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (str_starts(*address, prefixes[i].prefix)) {
			*address = str_skip(*address, prefixes[i].prefix.len);
			return prefixes[i].kind;
		}
	}
	return CANONICAL_ENVELOPE_RECIPIENT;
}

static void
test_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(canonical_rows); i++) {
		const struct row *row = &canonical_rows[i];
		struct arena *mem = arena_new();
		struct str address = str_from(row->address);
		enum canonical_kind kind = take_kind(&address);
		struct canonical_result result = {.address = STR_EMPTY};
		struct rewrite_rules rules;
		struct err err;
		bool ok;

		rules_for_test(mem, base, row->config, &rules);
		ok = canonical_address(mem, &rules, kind, address, &result, &err);
		check(mem, row, ok, result.address, &err);
		if (ok && !str_eq(result.address, address))
			assert_true(result.n_steps > 0);
		arena_free(&mem);
	}
}

/* What explanations need: which row of which table. */
static void
test_steps(void **state)
{
	struct arena *mem = arena_new();
	struct canonical_result canonical;
	struct expand_result result;
	struct rewrite_rules rules;
	struct err err;

	(void)state;
	rules_for_test(mem, base,
		       V "{a@v.test=b@v.test, c},{b@v.test=d@w.test}}\n" C
			 "{q@v.test=x@v.test, y}}\n",
		       &rules);
	assert_true(expand_recipient(mem, &rules, STR("A@v.test"), &result, &err));
	assert_int_equal(result.n_steps, 2);
	assert_true(str_eq(result.steps[0].from, STR("A@v.test")));
	assert_true(str_eq(result.steps[0].to, STR("b@v.test, c")));
	assert_true(str_eq(result.steps[1].from, STR("b@v.test")));
	assert_true(str_starts(str_from(result.steps[1].table), STR("inline:{")));
	assert_true(canonical_address(mem, &rules, CANONICAL_ENVELOPE_SENDER,
				      STR("q@v.test"), &canonical, &err));
	assert_int_equal(canonical.n_steps, 1);
	assert_true(canonical.steps[0].is_multiple);
	assert_string_equal(canonical.steps[0].parameter, "canonical_maps");
	arena_free(&mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_virtual),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
