/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of policy services: what is taken is within the input, and the same however it
 * arrives.
 */
#include "base/panic.h"

#include "policy/policy.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_from_mem(data, size);
	struct str action;
	struct str part;
	const char *why = NULL;
	size_t length = 0;
	size_t again;

	switch (policy_reply_parse(input, &action, &length, &why)) {
	case POLICY_PARSE_DONE:
		ensure(length > 0 && length <= size && action.len <= POLICY_LINE_MAX);
		ensure(!str_contains(action, '\n') && !str_contains(action, '\0'));
		ensure(policy_reply_parse(str_head(input, length), &part, &again, &why) ==
			       POLICY_PARSE_DONE &&
		       again == length && str_eq(part, action));
		ensure(policy_reply_parse(str_head(input, length - 1), &part, &again,
					  &why) == POLICY_PARSE_MORE);
		break;
	case POLICY_PARSE_MORE:
		ensure(size < (POLICY_LINE_MAX + 2) * (size_t)POLICY_LINES_MAX);
		break;
	case POLICY_PARSE_BAD:
		ensure(why != NULL);
		break;
	}
	return 0;
}
