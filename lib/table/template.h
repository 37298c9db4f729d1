/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Templates of tables that are asked in a language of their own (SQL): what is asked for
 * a key, and what is made of each result. Pure.
 *
 *	%%	a %
 *	%s	all of it: the key in a query, the value in a result
 *	%u %d	of user@domain the one or the other; %u of anything else is all of it
 *	%S %U %D	the same of the key, also in a result
 *	%1 ... %9	the labels of the key's domain from the right
 *
 * A template that asks for a part that is not there (also: %u of "@domain") has no
 * expansion: nothing is asked, or the value is left out.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Is each % followed by one of these? */
bool template_is_valid(struct str text) MUST_CHECK;

/* Append one part to out, so that it means itself in the language. */
typedef void (*template_quote_fn)(void *arg, struct buf *out, struct str part);

/* subject: what %s, %u and %d are of. quote may be NULL. False if there is no expansion;
 * out may then have a part of it. */
bool template_expand(struct str text, struct str subject, struct str key,
		     template_quote_fn quote, void *arg, struct buf *out) MUST_CHECK;
