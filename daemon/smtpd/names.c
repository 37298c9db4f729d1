/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <netinet/in.h>
#include <string.h>

#include "base/arena.h"

#include "dns/dns.h"

/* One place for each hash of an address: a later client takes that of an earlier one. */
struct known {
	int64_t until_ms; /* 0: nobody */
	size_t address_len, name_len;
	char address[INET6_ADDRSTRLEN];
	char name[DNS_NAME_MAX];
};

struct names {
	struct known known[NAMES_MAX];
};

struct names *
names_new(struct arena *mem)
{
	return ARENA_NEW(mem, struct names);
}

static size_t
place_of(struct str address)
{
	return str_hash(address, 0) % NAMES_MAX;
}

bool
names_find(const struct names *n, struct arena *mem, struct str address, int64_t now_ms,
	   struct str *name_out)
{
	const struct known *k = &n->known[place_of(address)];

	if (now_ms >= k->until_ms ||
	    !str_eq(address, str_from_mem(k->address, k->address_len)))
		return false;
	*name_out = str_dup(mem, str_from_mem(k->name, k->name_len));
	return true;
}

void
names_add(struct names *n, struct str address, struct str name, int64_t now_ms)
{
	struct known *k = &n->known[place_of(address)];

	if (address.len > sizeof(k->address) || name.len > sizeof(k->name))
		return;
	memcpy(k->address, address.p, address.len);
	memcpy(k->name, name.p, name.len);
	k->address_len = address.len;
	k->name_len = name.len;
	k->until_ms = now_ms + NAMES_MS;
}
