/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The addresses of this machine: inet_interfaces and proxy_interfaces as text in numeric
 * form. Asks the system (interfaces, names), so it belongs to loading configuration.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

enum { OWN_ADDRESSES_MAX = 1024 };

struct own_addresses {
	struct str *list;
	size_t n;
	struct str warning; /* what could not be found out; empty: nothing */
};

/* The values of the two parameters. What cannot be resolved is left out and named in the
 * warning: mail for a domain must not stop because an interface name does not resolve. */
void own_addresses_load(struct arena *mem, struct str inet_interfaces,
			struct str proxy_interfaces, struct own_addresses *out);

/* Compared as addresses, so that 2001:DB8:0::1 is 2001:db8::1. */
bool own_addresses_has(const struct str *list, size_t n, struct str address);
