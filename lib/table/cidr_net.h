/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Blocks of addresses: "192.0.2.0/24", "[2001:db8::]/32", or one address. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* An address of either family as bytes in network order. */
struct cidr_address {
	unsigned char bytes[16];
	unsigned char len; /* 4 or 16 */
};

struct cidr_net {
	struct cidr_address address;
	unsigned char bits;
};

/* Text without brackets; false if it is not an address. */
bool cidr_address_parse(struct str text, struct cidr_address *out) MUST_CHECK;

/* Errors (ERR_CONFIG) are worded as Postfix words them. */
bool cidr_net_parse(struct str text, struct cidr_net *out, struct err *err) MUST_CHECK;

bool cidr_net_has(const struct cidr_net *net, const struct cidr_address *address);
