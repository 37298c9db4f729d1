/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table of header or body checks says: whatever it is, an action that is complete,
 * or none and a warning.
 */
#include "base/arena.h"
#include "base/panic.h"

#include "mail/check_action.h"
#include "mail/dsn.h"
#include "mail/header.h"

#include "fuzz.h"

static void
check(struct arena *mem, struct str value, bool is_header, unsigned allowed)
{
	struct check_action a =
		check_action_parse(mem, "table", value, is_header, allowed);

	ensure(a.warning.len == 0 || a.verb == CHECK_DUNNO);
	ensure((allowed & 1u << a.verb) != 0);
	ensure(a.text.len <= value.len);
	if (a.verb == CHECK_PREPEND || a.verb == CHECK_REPLACE)
		ensure(a.text.len > 0 && (!is_header || header_name_length(a.text) > 0));
	if (a.verb == CHECK_FILTER)
		ensure(str_contains(a.text, ':'));
	if (a.verb == CHECK_BCC || a.verb == CHECK_REDIRECT)
		ensure(str_contains(a.text, '@'));
	if (a.verb == CHECK_REJECT) {
		struct str warning;
		struct str reason = check_action_reason(mem, a.text, &warning);

		ensure(dsn_status_length(reason) > 0);
		ensure(reason.p[0] == '4' || reason.p[0] == '5');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str input = str_from_mem(data, size);

	check(mem, input, true, CHECK_ALL);
	check(mem, input, false, CHECK_ALL);
	check(mem, input, true, CHECK_ON_OUTPUT);
	arena_free(&mem);
	return 0;
}
