/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names that stand for addresses: the labels of the address from the end, below a zone
 * (RFC 1035 section 3.5, RFC 3596 section 2.5; DNS lists, RFC 5782 section 2). Pure.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct dns_answer;

/* "7.2.0.192.ZONE", IPv6 by its half bytes; an empty zone is in-addr.arpa or ip6.arpa.
 * *out lives in mem. False: no address, or longer than a name may be. */
bool dns_reverse_name(struct arena *mem, struct str address, struct str zone,
		      struct str *out) MUST_CHECK;

/* Is the address among those of the answer, however it is written? False for what is no
 * address. */
bool dns_answer_has_address(const struct dns_answer *answer, struct str address);
