/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/address_list.h"

#include "base/arena.h"

#include "mail/token.h"

void
address_list_parse(struct arena *mem, struct str value, size_t token_limit,
		   struct address_list *out)
{
	bool cut;
	struct token_list tree = token_parse(mem, value, token_limit, &cut);
	size_t count = 0;

	for (struct token *t = NULL; (t = token_next_address(tree, t)) != NULL;)
		count++;
	*out = (struct address_list){
		.internal = arena_alloc_array(mem, count, sizeof(struct str)),
		.cut = cut,
	};
	for (struct token *t = NULL; (t = token_next_address(tree, t)) != NULL;)
		out->internal[out->count++] = token_print(mem, t->inner, TOKEN_INTERNAL);
}

struct str
address_parse(struct arena *mem, struct str text)
{
	struct token_list tree = token_parse(mem, text, TOKEN_LIMIT_DEFAULT, NULL);
	struct token *t = token_next_address(tree, NULL);

	return t == NULL ? STR_EMPTY : token_print(mem, t->inner, TOKEN_INTERNAL);
}

bool
address_list_rewrite(struct arena *mem, struct str value, size_t token_limit,
		     address_rewrite_fn rewrite, void *arg, struct str *value_out,
		     bool *changed_out, struct err *err)
{
	struct token_list tree = token_parse(mem, value, token_limit, NULL);
	bool changed = false;

	for (struct token *t = NULL; (t = token_next_address(tree, t)) != NULL;) {
		struct str old = token_print(mem, t->inner, TOKEN_HEADER);
		struct str new = old;

		if (!rewrite(arg, mem, old, &new, err))
			return false;
		if (str_eq(new, old))
			continue;
		changed = true;
		t->inner = token_scan(mem, new, TOKEN_LIMIT_DEFAULT, NULL);
	}
	*changed_out = changed;
	*value_out = changed ? token_print(mem, tree, TOKEN_HEADER_LINES) : value;
	return true;
}
