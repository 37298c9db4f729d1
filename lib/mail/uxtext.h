/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of an address of type utf-8 in ORCPT (RFC 6533 section 3): UTF-8 as it is, or
 * with \x{HEX} for characters that cannot be sent. As lax as Postfix in reading: a lone
 * backslash, "+" and "=" stand for themselves.
 */

#include <stdbool.h>

#include "base/macros.h"
#include "base/str.h"

struct arena;

/* Only ASCII comes out: all else, blanks, "+", "=" and backslashes are \x{HEX}. Bytes
 * that are not UTF-8 become question marks. */
struct str uxtext_encode(struct arena *mem, struct str raw);

/* False for an unfinished \x{, for what is no character (beyond 10FFFF, a surrogate) and
 * for control characters; the result is UTF-8 if the text is. */
bool uxtext_decode(struct arena *mem, struct str text, struct str *raw_out) MUST_CHECK;
