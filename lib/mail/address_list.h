/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The addresses of a header field: reading them, and replacing each while comments,
 * names and groups stay. For single tokens see mail/token.h.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

struct address_list {
	size_t count;
	struct str *internal; /* in the order of the text */
	bool cut;             /* the token limit was reached; the rest is missing */
};

/* Empty addresses (`<>`) are not listed. Never fails: see mail/token.h. */
void address_list_parse(struct arena *mem, struct str value, size_t token_limit,
			struct address_list *out);

/* The same with empty addresses: where one stands for a recipient of its own
 * (empty_address_recipient). */
void address_list_parse_all(struct arena *mem, struct str value, size_t token_limit,
			    struct address_list *out);

/* The one address of a command line or a table value, in internal form: the first
 * address of the text, empty if there is none. */
struct str address_parse(struct arena *mem, struct str text);

/* Gets and gives the external form: what stands in quotes is no operator. The new one in
 * *new_out, or leave it untouched to keep the address. False stops everything. */
typedef bool (*address_rewrite_fn)(void *arg, struct arena *mem, struct str external,
				   struct str *new_out, struct err *err);

/*
 * Call rewrite for each address of the field value. *value_out is the value itself, byte
 * for byte, when no address changed (*changed_out false); otherwise it is printed anew,
 * one address per line, lines separated by a newline without leading blanks (the caller
 * adds the tab, see header_fold()). A value beyond the token limit is left alone: to
 * print it would drop its end.
 */
bool address_list_rewrite(struct arena *mem, struct str value, size_t token_limit,
			  address_rewrite_fn rewrite, void *arg, struct str *value_out,
			  bool *changed_out, struct err *err) MUST_CHECK;
