/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * masquerade_domains: the names of single machines taken out of addresses. The list is
 * read from left to right and the first domain that the address is in, or is below,
 * decides: a domain below it is replaced by it, the domain itself stays; after "!" both
 * stay. Which kinds of address it is for says masquerade_classes; the users of
 * masquerade_exceptions keep their addresses.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#include "rewrite/canonical.h"

struct arena;
struct rewrite_rules;

/* The address in internal form, in and out; the domain that decided (without "!") in
 * *rule_out, which may be NULL: empty if none did. False: ERR_TEMP with the text that
 * cleanup logs ("masquerade_exceptions map lookup problem"). */
bool masquerade_address(struct arena *mem, const struct rewrite_rules *rules,
			enum canonical_kind kind, struct str address, struct str *out,
			struct str *rule_out, struct err *err) MUST_CHECK;
