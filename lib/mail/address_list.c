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

void
address_list_parse(struct arena *mem, struct str value, size_t token_limit,
		   struct address_list *out)
{
	struct address_list result = {0};
	struct token_list list = token_parse(mem, value, token_limit, &result.cut);

	result.internal =
		arena_alloc_array(mem, count_addresses(list) + 1, sizeof(struct str));
	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t)) {
		struct str address = token_print(mem, t->inner, TOKEN_INTERNAL);

		if (address.len > 0)
			result.internal[result.count++] = address;
	}
	*out = result;
}

struct str
address_parse(struct arena *mem, struct str text)
{
	struct address_list list;

	address_list_parse(mem, text, TOKEN_LIMIT_DEFAULT, &list);
	return list.count > 0 ? list.internal[0] : STR_EMPTY;
}

/* Put another address into the tree, as its header form reads. */
static void
replace(struct arena *mem, struct token *address, struct str internal)
{
	struct token_list scanned = token_parse(mem, address_quote_header(mem, internal),
						TOKEN_LIMIT_DEFAULT, NULL);
	struct token *fresh = token_next_address(scanned, NULL);

	if (fresh != NULL)
		address->inner = fresh->inner;
}

bool
address_list_rewrite(struct arena *mem, struct str value, size_t token_limit,
		     address_rewrite_fn rewrite, void *arg, struct str *value_out,
		     bool *changed_out, struct err *err)
{
	bool cut = false;
	struct token_list list = token_parse(mem, value, token_limit, &cut);
	bool changed = false;

	for (struct token *t = token_next_address(list, NULL); t != NULL;
	     t = token_next_address(list, t)) {
		struct str internal = token_print(mem, t->inner, TOKEN_INTERNAL);
		struct str fresh = internal;

		if (internal.len == 0)
			continue;
		if (!rewrite(arg, mem, internal, &fresh, err))
			return false;
		if (str_eq(fresh, internal))
			continue;
		replace(mem, t, fresh);
		changed = true;
	}
	*changed_out = changed;
	*value_out = changed ? token_print(mem, list, TOKEN_HEADER_LINES) : value;
	return true;
}
