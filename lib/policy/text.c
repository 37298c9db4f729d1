/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions and answers as texts.
 */
#include "base/buf.h"

#include "policy/policy.h"

void
policy_request_format(struct buf *out, const struct policy_attribute *attributes,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str value = attributes[i].value;

		buf_add_c(out, attributes[i].name);
		buf_add_char(out, '=');
		for (size_t k = 0; k < value.len; k++) {
			char c = value.p[k];

			buf_add_char(out, c == '\n' || c == '\r' || c == '\0' ? '?' : c);
		}
		buf_add_char(out, '\n');
	}
	buf_add_char(out, '\n');
}

static enum policy_parse
bad(const char **why_out, const char *why)
{
	*why_out = why;
	return POLICY_PARSE_BAD;
}

enum policy_parse
policy_reply_parse(struct str text, struct str *action_out, size_t *length_out,
		   const char **why_out)
{
	struct str action = {NULL, 0};
	size_t at = 0;

	for (int lines = 0; lines < POLICY_LINES_MAX; lines++) {
		struct str rest = str_skip(text, at);
		size_t end = str_index(rest, '\n');
		struct str line = str_head(rest, end);
		struct str name;
		struct str value;

		if (end > POLICY_LINE_MAX)
			return bad(why_out, "a line of the answer is too long");
		if (end == rest.len)
			return POLICY_PARSE_MORE;
		at += end + 1;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0) {
			if (action.p == NULL)
				return bad(why_out, "missing attribute action");
			*action_out = action;
			*length_out = at;
			return POLICY_PARSE_DONE;
		}
		if (str_contains(line, '\0') || !str_split(line, '=', &name, &value))
			return bad(why_out, "malformed attribute");
		if (action.p == NULL && str_eq(name, STR("action")))
			action = value;
	}
	return bad(why_out, "the answer has too many lines");
}
