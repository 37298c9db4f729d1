/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of policy services: what is taken is within the input, and the same however it
 * arrives.
 */
#include "base/panic.h"

#include "policy/policy.h"

#include "fuzz.h"

static enum policy_parse
parse(struct str input, struct str *action_out, size_t *length_out)
{
	const char *why = NULL;
	enum policy_parse result =
		policy_reply_parse(input, action_out, length_out, &why);

	ensure(result != POLICY_PARSE_BAD || why != NULL);
	return result;
}

static void
check_answer(struct str input, struct str action, size_t length)
{
	struct str again;
	size_t n = 0;

	ensure(length > 0 && length <= input.len);
	ensure(action.len <= POLICY_LINE_MAX && !str_contains(action, '\n'));
	ensure(parse(str_head(input, length), &again, &n) == POLICY_PARSE_DONE);
	ensure(n == length && str_eq(again, action));
	ensure(parse(str_head(input, length - 1), &again, &n) == POLICY_PARSE_MORE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_from_mem(data, size);
	struct str action;
	size_t length = 0;

	switch (parse(input, &action, &length)) {
	case POLICY_PARSE_DONE:
		check_answer(input, action, length);
		break;
	case POLICY_PARSE_MORE:
		ensure(size < (POLICY_LINE_MAX + 2) * (size_t)POLICY_LINES_MAX);
		break;
	case POLICY_PARSE_BAD:
		break;
	}
	return 0;
}
