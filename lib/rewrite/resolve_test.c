/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/resolve.h"

#include "base/macros.h"

#include "rewrite/rules_testing.h"

static const char base[] = "compatibility_level = 3.6\n"
			   "myhostname = mx.example.org\n"
			   "mydomain = example.org\n"
			   "myorigin = example.org\n"
			   "mydestination = example.org, localhost, mx.example.org\n"
			   "inet_interfaces = 127.0.0.1\n"
			   "virtual_alias_maps =\n"
			   "relay_domains = relay.test\n"
			   "virtual_alias_domains = alias.test\n"
			   "virtual_mailbox_domains = box.test\n";

struct row {
	const char *config; /* of this and the following rows */
	const char *sender, *recipient;
	enum resolve_result result;
	const char *transport, *nexthop, *answer;
	enum address_class class;
	bool routed;
};

static const struct row rows[] = {
#define CONFIG(text)   {.config = text},
#define BAD(from, to)  {.sender = from, .recipient = to, .result = RESOLVE_BAD},
#define TEMP(from, to) {.sender = from, .recipient = to, .result = RESOLVE_TEMP},
#define OK(from, to, transport_text, hop, text, class_name, is_routed)                   \
	{                                                                                \
		.sender = from,                                                          \
		.recipient = to,                                                         \
		.result = RESOLVE_OK,                                                    \
		.transport = transport_text,                                             \
		.nexthop = hop,                                                          \
		.answer = text,                                                          \
		.class = CLASS_##class_name,                                             \
		.routed = is_routed,                                                     \
	},
#include "rewrite/resolve_test.def"
};

/* Everything that differs, not only the first row: one run shows the whole picture. */
static unsigned
check(struct arena *mem, const struct rewrite_rules *rules, const char *config,
      const struct row *row)
{
	struct route route;
	struct err err;
	enum resolve_result result =
		resolve_address(mem, rules, str_from(row->sender),
				str_from(row->recipient), &route, &err);

	if (result == row->result && result != RESOLVE_OK)
		return 0;
	if (result == row->result && str_eq(route.transport, str_from(row->transport)) &&
	    str_eq(route.nexthop, str_from(row->nexthop)) &&
	    str_eq(route.recipient, str_from(row->answer)) && route.class == row->class &&
	    route.is_routed == row->routed && route.n_reasons > 0)
		return 0;
	print_error("%s%s -> %s: ", config, row->sender, row->recipient);
	if (result != RESOLVE_OK)
		print_error("result %d, %s\n", (int)result, err.text);
	else
		print_error("%s : %s : %s, %s, routed %d, %zu reasons\n",
			    str_c(mem, route.transport), str_c(mem, route.nexthop),
			    str_c(mem, route.recipient), address_class_name(route.class),
			    (int)route.is_routed, route.n_reasons);
	return 1;
}

static void
test_as_postfix(void **state)
{
	struct arena *mem = NULL;
	struct rewrite_rules rules;
	const char *config = NULL;
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].config != NULL) {
			arena_free(&mem);
			mem = arena_new();
			config = rows[i].config;
			rules_for_test(mem, base, config, &rules);
		} else {
			wrong += check(mem, &rules, config, &rows[i]);
		}
	}
	arena_free(&mem);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_postfix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
