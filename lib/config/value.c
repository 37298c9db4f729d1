/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

bool
value_bool(struct str s, bool *out)
{
	if (str_ieq(s, STR("yes")))
		*out = true;
	else if (str_ieq(s, STR("no")))
		*out = false;
	else
		return false;
	return true;
}

bool
value_int(struct str s, int64_t *out)
{
	/* A plus sign is not a number in Postfix's files either way; minus is. */
	return str_to_i64(s, INT64_MIN, INT64_MAX, out);
}

static int64_t
unit_seconds(char unit)
{
	switch (char_lower(unit)) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return INT64_C(7) * 86400;
	}
	return 0;
}

bool
value_time(struct str s, char default_unit, int64_t *out)
{
	size_t digits = 0;
	int64_t n, unit;

	while (digits < s.len && char_is_digit(s.p[digits]))
		digits++;
	if (!str_to_i64(str_head(s, digits), 0, INT32_MAX, &n))
		return false;
	unit = unit_seconds(digits < s.len ? s.p[digits] : default_unit);
	if (unit == 0 || n > INT32_MAX / unit)
		return false;
	*out = n * unit;
	return true;
}

size_t
list_brace_len(struct str s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && depth > 0 && --depth == 0)
			return i + 1;
		if (depth == 0)
			return 0;
	}
	return 0;
}

/* Postfix's rule: braces count anywhere in an item, so static:{a b} is one item. */
static bool
item_next(struct str *rest, struct str seps, struct str *item_out)
{
	struct str s = *rest;
	size_t depth = 0, i;

	while (s.len > 0 && str_contains(seps, *s.p))
		s = str_skip(s, 1);
	if (s.len == 0) {
		*rest = s;
		return false;
	}
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && depth > 0)
			depth--;
		else if (depth == 0 && str_contains(seps, s.p[i]))
			break;
	}
	*item_out = str_head(s, i);
	*rest = str_skip(s, i);
	return true;
}

bool
list_next(struct str *rest, struct str *item_out)
{
	return item_next(rest, STR(", \t\r\n"), item_out);
}

bool
words_next(struct str *rest, struct str *word_out)
{
	return item_next(rest, STR(" \t\r\n"), word_out);
}

bool
list_unbrace(struct str s, struct str *inner_out, const char **why_out)
{
	size_t len = list_brace_len(s);

	if (s.len == 0 || *s.p != '{') {
		*why_out = "no '{' at start of text";
		return false;
	}
	if (len == 0) {
		*why_out = "missing '}'";
		return false;
	}
	if (len != s.len) {
		*why_out = "syntax error after '}'";
		return false;
	}
	*inner_out = str_trim(str_skip(str_head(s, len - 1), 1));
	return true;
}

bool
list_has(struct str list, struct str word)
{
	struct str item;

	while (list_next(&list, &item)) {
		if (str_ieq(item, word))
			return true;
	}
	return false;
}

bool
list_has_exactly(struct str list, struct str word)
{
	struct str item;

	while (list_next(&list, &item)) {
		if (str_eq(item, word))
			return true;
	}
	return false;
}
