/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/address_list.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/token.h"

static size_t
count_addresses(struct token_list list)
{
	size_t n = 0;

	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t))
		n++;
	return n;
}

static void
parse(struct arena *mem, struct str value, size_t token_limit, bool keep_empty,
      struct address_list *out)
{
	struct address_list result = {0};
	struct token_list list = token_parse(mem, value, token_limit, &result.cut);

	result.internal =
		arena_alloc_array(mem, count_addresses(list) + 1, sizeof(struct str));
	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t)) {
		struct str address = token_print(mem, t->inner, TOKEN_INTERNAL);

		if (address.len > 0 || keep_empty)
			result.internal[result.count++] = address;
	}
	*out = result;
}

void
address_list_parse(struct arena *mem, struct str value, size_t token_limit,
		   struct address_list *out)
{
	parse(mem, value, token_limit, false, out);
}

void
address_list_parse_all(struct arena *mem, struct str value, size_t token_limit,
		       struct address_list *out)
{
	parse(mem, value, token_limit, true, out);
}

struct str
address_parse(struct arena *mem, struct str text)
{
	struct address_list list;

	address_list_parse(mem, text, TOKEN_LIMIT_DEFAULT, &list);
	return list.count > 0 ? list.internal[0] : STR_EMPTY;
}

bool
address_list_rewrite(struct arena *mem, struct str value, size_t token_limit,
		     address_rewrite_fn rewrite, void *arg, struct str *value_out,
		     bool *changed_out, struct err *err)
{
	bool cut = false;
	struct token_list list = token_parse(mem, value, token_limit, &cut);
	bool changed = false;

	*changed_out = false;
	*value_out = value;
	if (cut)
		return true;
	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t)) {
		struct str old = token_print(mem, t->inner, TOKEN_HEADER);
		struct str fresh = old;

		if (!rewrite(arg, mem, old, &fresh, err))
			return false;
		if (str_eq(fresh, old))
			continue;
		t->inner = token_scan(mem, fresh, TOKEN_LIMIT_DEFAULT, NULL);
		changed = true;
	}
	*changed_out = changed;
	if (changed)
		*value_out = token_print(mem, list, TOKEN_HEADER_LINES);
	return true;
}
