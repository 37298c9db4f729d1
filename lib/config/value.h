/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Values of parameters: text to numbers, times, truth; lists with braces. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

/* yes or no, any case. */
bool value_bool(struct str s, bool *out) MUST_CHECK;

/* A decimal number with sign, blanks around it are not allowed. */
bool value_int(struct str s, int64_t *out) MUST_CHECK;

/* Seconds: digits and a unit out of s m h d w; without one, default_unit. Only the first
 * letter of the unit counts ("5days"), as in Postfix. Zero or more; at most INT32_MAX. */
bool value_time(struct str s, char default_unit, int64_t *out) MUST_CHECK;

/* Take the next item off *rest. Items are separated by comma, space, tab, CR, LF; inside
 * { } separators are data, and an item that is one { } group keeps its braces. An
 * unmatched brace is taken to the end. False at the end. */
bool list_next(struct str *rest, struct str *item_out);

/* As list_next(), but only blanks and line ends separate: arguments in master.cf. */
bool words_next(struct str *rest, struct str *word_out);

/* The text inside { }, without blanks at its ends; false if s does not begin with {, or
 * its matching } is not its last byte (*why_out then says what is wrong). */
bool list_unbrace(struct str s, struct str *inner_out, const char **why_out) MUST_CHECK;

/* Length of the { } group that s begins with, braces included; 0 if it does not end. */
size_t list_brace_len(struct str s);

/* Whether the list has an item equal to word, letter case ignored; "!word" and tables
 * are not looked at. */
bool list_has(struct str list, struct str word);
/* The same, with upper and lower case apart: names of services and parameters. */
bool list_has_exactly(struct str list, struct str word);
