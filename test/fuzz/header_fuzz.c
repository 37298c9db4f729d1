/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One header field: taking it apart and folding it again, and replacing its addresses. A
 * field whose addresses stay is not touched; where each becomes another none of the old
 * ones is left, and there are no more than before (two that nothing parted may become a
 * name and an address).
 */
#include "base/arena.h"
#include "base/panic.h"

#include "mail/address_list.h"
#include "mail/header.h"
#include "mail/token.h"

#include "fuzz.h"

static bool
keep(void *arg, struct arena *mem, struct str external, struct str *new_out,
     struct err *err)
{
	(void)arg;
	(void)mem;
	(void)external;
	(void)new_out;
	(void)err;
	return true;
}

static bool
replace(void *arg, struct arena *mem, struct str external, struct str *new_out,
	struct err *err)
{
	size_t *n = arg;

	(void)mem;
	(void)external;
	(void)err;
	*new_out = STR("new@example.org");
	(*n)++;
	return true;
}

static void
rewrite(struct arena *mem, struct str value)
{
	struct address_list list;
	struct str out;
	struct err err;
	bool changed;
	size_t n = 0;

	ensure(address_list_rewrite(mem, value, TOKEN_LIMIT_DEFAULT, keep, NULL, &out,
				    &changed, &err));
	ensure(!changed && str_eq(out, value));
	ensure(address_list_rewrite(mem, value, TOKEN_LIMIT_DEFAULT, replace, &n, &out,
				    &changed, &err));
	if (!changed)
		return;
	address_list_parse(mem, out, TOKEN_LIMIT_DEFAULT, &list);
	ensure(list.cut || list.count <= n);
	for (size_t i = 0; i < list.count; i++)
		ensure(str_eq(list.internal[i], STR("new@example.org")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem(data, size);
	struct header_field f;
	struct header_field again;

	if (header_field_parse(text, &f)) {
		struct str folded = header_fold(mem, f.name, f.value);

		ensure(f.name.len > 0 && header_name_length(text) >= f.name.len);
		ensure(!str_contains(header_unfold(mem, f.value), '\n'));
		ensure(header_field_parse(folded, &again));
		ensure(str_eq(f.name, again.name) && f.row == again.row);
		rewrite(mem, f.value);
	}
	arena_free(&mem);
	return 0;
}
