/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of a header field: what is printed from a parsed text parses to the same
 * text again, and quoting is undone by unquoting. Otherwise two programs that pass an
 * address on would not mean the same one.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"

#include "mail/address.h"
#include "mail/token.h"

#include "fuzz.h"

enum { LIMIT = 1000 };

static struct str
print(struct arena *mem, struct str text)
{
	struct token_list list = token_parse(mem, text, LIMIT, NULL);

	return token_print(mem, list, TOKEN_HEADER);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str text = str_from_mem(data, size);
	struct str once = print(mem, text);
	struct str twice = print(mem, once);
	bool cut = false;

	/* The second reading adds commas, which count against the limit too. */
	token_parse(mem, once, LIMIT, &cut);
	if (!cut)
		ensure(str_eq(once, twice));
	/* A route stays as it is in a header, and is read as a local part. */
	if (size > 0 && text.p[0] != '@')
		ensure(str_eq(address_unquote(mem, address_quote_smtp(mem, text)),
			      address_unquote(mem, address_quote_header(mem, text))));
	arena_free(&mem);
	return 0;
}
