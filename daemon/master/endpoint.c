/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/arena.h"
#include "config/value.h"

struct collector {
	struct arena *mem;
	struct endpoint *at;
	size_t count;
	bool ipv4, ipv6;
	const char *port;
	struct err *err;
};

static bool
is_known(const struct collector *c, const struct endpoint *e)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->at[i].len == e->len &&
		    memcmp(&c->at[i].address, &e->address, e->len) == 0)
			return true;
	}
	return false;
}

static bool
add(struct collector *c, const struct addrinfo *ai)
{
	struct endpoint e = {.len = ai->ai_addrlen,
			     .optional = c->ipv4 && ai->ai_family == AF_INET6};
	char host[NI_MAXHOST], port[NI_MAXSERV];

	memcpy(&e.address, ai->ai_addr, ai->ai_addrlen);
	if (is_known(c, &e))
		return true;
	if (c->count == ENDPOINTS_MAX)
		return err_set(c->err, ERR_CONFIG, "more than %d addresses to listen on",
			       ENDPOINTS_MAX);
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_set(c->err, ERR_CONFIG, "cannot print an address");
	e.text = str_printf(c->mem, "%s port %s", host, port).p;
	c->at[c->count++] = e;
	return true;
}

/* host NULL: all interfaces. */
static bool
add_host(struct collector *c, const char *host)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *list;
	bool ok = true;
	int r = getaddrinfo(host, c->port, &hints, &list);

	if (r == EAI_SERVICE)
		return err_set(c->err, ERR_CONFIG, "unknown service or port: %s",
			       c->port);
	if (r != 0)
		return err_set(c->err, ERR_CONFIG, "host not found: %s: %s",
			       host == NULL ? "*" : host, gai_strerror(r));
	for (const struct addrinfo *ai = list; ok && ai != NULL; ai = ai->ai_next) {
		if ((ai->ai_family == AF_INET && c->ipv4) ||
		    (ai->ai_family == AF_INET6 && c->ipv6)) {
			ok = add(c, ai);
		}
	}
	freeaddrinfo(list);
	return ok;
}

static bool
add_interfaces(struct collector *c, struct str interfaces)
{
	struct str item;

	while (list_next(&interfaces, &item)) {
		if (item.len > 2 && item.p[0] == '[' && item.p[item.len - 1] == ']')
			item = str_head(str_skip(item, 1), item.len - 2);
		if (str_ieq(item, STR("all"))) {
			if (!add_host(c, NULL))
				return false;
		} else if (str_ieq(item, STR("loopback-only"))) {
			if ((c->ipv4 && !add_host(c, "127.0.0.1")) ||
			    (c->ipv6 && !add_host(c, "::1")))
				return false;
		} else if (!add_host(c, str_c(c->mem, item))) {
			return false;
		}
	}
	return true;
}

bool
endpoints_resolve(struct arena *mem, struct str host, struct str port,
		  struct str inet_interfaces, struct str inet_protocols,
		  struct endpoint **out, size_t *count_out, struct err *err)
{
	bool all = inet_protocols.len == 0 || list_has(inet_protocols, STR("all"));
	struct collector c = {
		.mem = mem,
		.at = arena_alloc_array(mem, ENDPOINTS_MAX, sizeof(*c.at)),
		.ipv4 = all || list_has(inet_protocols, STR("ipv4")),
		.ipv6 = all || list_has(inet_protocols, STR("ipv6")),
		.port = str_c(mem, port),
		.err = err,
	};

	if (host.len > 0 ? !add_host(&c, str_c(mem, host))
			 : !add_interfaces(&c, inet_interfaces))
		return false;
	if (c.count == 0)
		return err_set(err, ERR_CONFIG,
			       "no address to listen on: inet_interfaces = " PRI_STR
			       ", inet_protocols = " PRI_STR,
			       STR_ARG(inet_interfaces), STR_ARG(inet_protocols));
	*out = c.at;
	*count_out = c.count;
	return true;
}
