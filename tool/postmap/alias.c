/* SPDX-License-Identifier: Apache-2.0 */
#include "alias.h"

#include <limits.h>

#include "mail/token.h"

/* What any source of entries refuses. */
static bool
is_text(const struct source_line *line, bool utf8, enum source_kind *why_out)
{
	if (line->too_long)
		*why_out = SOURCE_TOO_LONG;
	else if (str_contains(line->text, '\0'))
		*why_out = SOURCE_NUL;
	else if (line->text.len > 0 && char_is_space(line->text.p[0]))
		*why_out = SOURCE_LEADING_BLANK;
	else if (utf8 && !str_is_utf8(line->text))
		*why_out = SOURCE_NOT_UTF8;
	else
		return true;
	return false;
}

/* The colon between name and value: one behind a comma belongs to something else. */
static struct token *
find_colon(struct token_list list)
{
	for (struct token *t = list.first; t != NULL && !token_is(t, ','); t = t->next)
		if (token_is(t, ':'))
			return t;
	return NULL;
}

enum alias_kind
alias_parse(struct arena *mem, const struct source_line *line, bool utf8,
	    struct source_entry *entry_out, enum source_kind *why_out)
{
	struct token_list name = {NULL, NULL};
	struct token_list value = {NULL, NULL};
	struct token_list all;
	struct token *colon;

	if (!is_text(line, utf8, why_out))
		return ALIAS_NOT_TEXT;
	all = token_scan(mem, line->text, INT_MAX, NULL);
	colon = find_colon(all);
	if (colon == NULL || colon->prev == NULL || colon->next == NULL)
		return ALIAS_NO_PAIR;
	name.first = all.first;
	name.last = colon->prev;
	name.last->next = NULL;
	value.first = colon->next;
	value.last = all.last;
	value.first->prev = NULL;
	if (token_find_op(name, '@') != NULL)
		return ALIAS_NOT_LOCAL;
	entry_out->key = token_print(mem, name, TOKEN_INTERNAL);
	entry_out->value = token_print(mem, value, TOKEN_HEADER);
	return ALIAS_ENTRY;
}
