/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Variable envelope return paths: each recipient of a list gets the message from a sender
 * address of its own, so that a notice that comes back tells whom it is about. With the
 * delimiters "+=" list@example.org writes to a@example.net as
 * list+a=example.net@example.org.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;

/* Two characters, both of them in allowed (verp_delimiter_filter)? */
bool verp_delimiters_are_good(struct str delimiters, struct str allowed);

/* In internal form, as both addresses are. delimiters: two characters. A recipient
 * without domain, or a sender without, goes without that part. */
struct str verp_sender(struct arena *mem, struct str delimiters, struct str sender,
		       struct str recipient);
