/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A set of bytes as message_reject_characters and message_strip_characters write it: each
 * character stands for itself, and \a \b \f \n \r \t \v \ddd (one to three octal digits)
 * and \\ for what they are in C.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct byte_set {
	bool any; /* it is not empty */
	bool has[256];
};

void byte_set_parse(struct str text, struct byte_set *out);

/* Place of the first byte that is in the set; text.len if there is none. */
size_t byte_set_find(const struct byte_set *set, struct str text);
