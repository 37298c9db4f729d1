/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/own.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/macros.h"

static void
add_sockaddr(struct arena *mem, struct own_addresses *own, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN];
	const void *address;

	if (sa == NULL || own->n == OWN_ADDRESSES_MAX)
		return;
	if (sa->sa_family == AF_INET)
		address = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	else if (sa->sa_family == AF_INET6)
		address = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	else
		return;
	if (inet_ntop(sa->sa_family, address, text, sizeof(text)) != NULL)
		own->list[own->n++] = str_dup(mem, str_from(text));
}

static void
add_name(struct arena *mem, struct own_addresses *own, struct str host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int e;

	if (host.len > 2 && host.p[0] == '[')
		host = str_head(str_skip(host, 1), host.len - 2);
	e = getaddrinfo(str_c(mem, host), NULL, &hints, &found);
	if (e != 0) {
		own->warning = str_printf(mem, "no address for interface " PRI_STR ": %s",
					  STR_ARG(host), gai_strerror(e));
		return;
	}
	for (struct addrinfo *a = found; a != NULL; a = a->ai_next)
		add_sockaddr(mem, own, a->ai_addr);
	freeaddrinfo(found);
}

static void
add_loopback(struct own_addresses *own)
{
	if (own->n + 2 > OWN_ADDRESSES_MAX)
		return;
	own->list[own->n++] = STR("127.0.0.1");
	own->list[own->n++] = STR("::1");
}

static void
add_interfaces(struct arena *mem, struct own_addresses *own)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0) {
		own->warning = str_from("cannot list the network interfaces: only "
					"loopback addresses are known as our own");
		add_loopback(own);
		return;
	}
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		add_sockaddr(mem, own, i->ifa_addr);
	freeifaddrs(all);
}

static void
add_list(struct arena *mem, struct own_addresses *own, struct str list)
{
	struct str item;

	while (str_token(&list, ", \t\r\n", &item)) {
		if (str_ieq(item, STR("all")))
			add_interfaces(mem, own);
		else if (str_ieq(item, STR("loopback-only")))
			add_loopback(own);
		else
			add_name(mem, own, item);
	}
}

void
own_addresses_load(struct arena *mem, struct str inet_interfaces,
		   struct str proxy_interfaces, struct own_addresses *out)
{
	*out = (struct own_addresses){
		.list = arena_alloc_array(mem, OWN_ADDRESSES_MAX, sizeof(struct str)),
		.warning = STR_EMPTY,
	};
	add_list(mem, out, inet_interfaces);
	add_list(mem, out, proxy_interfaces);
}

/* The binary form, or false. */
static bool
to_binary(struct str text, unsigned char *out)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	return inet_pton(str_contains(text, ':') ? AF_INET6 : AF_INET, copy, out) == 1;
}

bool
own_addresses_has(const struct str *list, size_t n, struct str address)
{
	unsigned char want[sizeof(struct in6_addr)] = {0};

	if (!to_binary(address, want))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char have[sizeof(struct in6_addr)] = {0};

		if (str_contains(list[i], ':') == str_contains(address, ':') &&
		    to_binary(list[i], have) && memcmp(want, have, sizeof(have)) == 0)
			return true;
	}
	return false;
}
