/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * $name in text: $name ${name} $(name), ${name?{a}:{b}}, ${{x} == {y} ? {a} : {b}}, $$
 * (postconf(5)). Pure; where values come from is the caller's: main.cf here, the
 * variables of a mailbox command or of pipe's arguments elsewhere.
 *
 * Errors are Postfix's texts: `empty macro name: "..."`, `truncated macro reference:
 * "..."`, `unreasonable macro call nesting: "NAME"`, `":" expected at: "...a}>>>b"`.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum expand_found {
	EXPAND_UNKNOWN, /* no such name: empty text */
	EXPAND_LITERAL, /* *out is the text */
	EXPAND_RECURSE, /* *out has names to expand itself */
};

typedef enum expand_found expand_lookup_fn(void *closure, struct str name,
					   struct str *out);

enum { EXPAND_DEPTH_MAX = 100, EXPAND_BYTES_MAX = 1048576 };

/* Append the expansion of text to *out; a value beyond out's maximum or
 * EXPAND_BYTES_MAX is an error. */
bool expand_text(struct str text, expand_lookup_fn *lookup, void *closure,
		 struct buf *out, struct err *err) MUST_CHECK;

/* Call fn for each name in text that expand_text() would or could look up, in all
 * branches; stops at a syntax error. */
void expand_names(struct str text, void (*fn)(void *closure, struct str name),
		  void *closure);

/* Compare compatibility levels MAJOR[.MINOR[.PATCH]]: *out is -1, 0 or 1; false with an
 * error if one is malformed. */
bool expand_level_compare(struct str a, struct str b, int *out,
			  struct err *err) MUST_CHECK;
