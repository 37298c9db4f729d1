/* SPDX-License-Identifier: Apache-2.0 */
#include "table/cidr_net.h"

#include <arpa/inet.h>
#include <string.h>

bool
cidr_address_parse(struct str text, struct cidr_address *out)
{
	struct cidr_address a = {.len = 4};
	char c[INET6_ADDRSTRLEN + 1];

	if (text.len == 0 || text.len >= sizeof(c) || str_contains(text, '\0'))
		return false;
	memcpy(c, text.p, text.len);
	c[text.len] = '\0';
	if (inet_pton(AF_INET, c, a.bytes) != 1) {
		a.len = 16;
		if (inet_pton(AF_INET6, c, a.bytes) != 1)
			return false;
	}
	*out = a;
	return true;
}

/* The byte i of a mask of so many bits. */
static unsigned char
mask_byte(unsigned bits, unsigned i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	if (bits <= 8 * i)
		return 0;
	return (unsigned char)(0xff << (8 - (bits - 8 * i)));
}

/* The text with brackets as given, for a net whose host bits are not zero. */
static bool
host_bits(struct str text, const struct cidr_net *net, bool bracketed, struct err *err)
{
	struct cidr_address clean = net->address;
	char name[INET6_ADDRSTRLEN];

	for (unsigned i = 0; i < clean.len; i++)
		clean.bytes[i] &= mask_byte(net->bits, i);
	inet_ntop(clean.len == 4 ? AF_INET : AF_INET6, clean.bytes, name, sizeof(name));
	return err_set(err, ERR_CONFIG,
		       "non-null host address bits in \"" PRI_STR
		       "\", perhaps you should use \"%s%s%s/%u\" instead",
		       STR_ARG(text), bracketed ? "[" : "", name, bracketed ? "]" : "",
		       net->bits);
}

bool
cidr_net_parse(struct str text, struct cidr_net *out, struct err *err)
{
	struct cidr_net net;
	struct str address = text;
	struct str mask = STR_EMPTY;
	bool has_mask = str_split(text, '/', &address, &mask);
	bool bracketed = str_starts(address, STR("["));
	uint64_t bits;

	if (bracketed) {
		if (!str_ends(address, STR("]")))
			return err_set(err, ERR_CONFIG,
				       "missing ']' character after \"" PRI_STR "\"",
				       STR_ARG(text));
		address = str_head(str_skip(address, 1), address.len - 2);
	}
	if (has_mask && (mask.len == 0 || !char_is_digit(mask.p[0])))
		return err_set(err, ERR_CONFIG, "bad mask value in \"" PRI_STR "\"",
			       STR_ARG(text));
	if (has_mask && !str_to_u64(mask, 1000000, &bits))
		return err_set(err, ERR_CONFIG, "bad mask value in \"" PRI_STR "\"",
			       STR_ARG(text));
	if (!cidr_address_parse(address, &net.address))
		return err_set(err, ERR_CONFIG, "bad address pattern: \"" PRI_STR "\"",
			       STR_ARG(text));
	if (!has_mask)
		bits = (uint64_t)8 * net.address.len;
	if (bits > (uint64_t)8 * net.address.len)
		return err_set(err, ERR_CONFIG, "bad mask length in \"" PRI_STR "\"",
			       STR_ARG(text));
	net.bits = (unsigned char)bits;
	for (unsigned i = 0; i < net.address.len; i++)
		if ((net.address.bytes[i] & ~mask_byte(net.bits, i)) != 0)
			return host_bits(text, &net, bracketed, err);
	*out = net;
	return true;
}

bool
cidr_net_has(const struct cidr_net *net, const struct cidr_address *address)
{
	unsigned char mask;
	unsigned whole = net->bits / 8u;

	if (net->address.len != address->len ||
	    memcmp(net->address.bytes, address->bytes, whole) != 0)
		return false;
	if (net->bits % 8u == 0)
		return true;
	mask = mask_byte(net->bits, whole);
	return ((net->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}
