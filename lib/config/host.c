/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defaults that come from the host and the process: myhostname, mydomain, mynetworks ...
 */
#include "config/config_internal.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/value.h"

enum { NETWORKS_BYTES_MAX = 65536 };

/* Bytes of an address and how many of them are there. */
struct raw_addr {
	int family;
	unsigned char bytes[16];
	size_t len;
};

static bool
raw_addr_from(const struct sockaddr *sa, struct raw_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (sa == NULL)
		return false;
	out->family = sa->sa_family;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		out->len = 4;
		memcpy(out->bytes, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		out->len = 16;
		memcpy(out->bytes, &in6.sin6_addr, 16);
	}
	return out->len > 0;
}

static unsigned
mask_bits(const struct raw_addr *mask)
{
	unsigned bits = 0;

	for (size_t i = 0; i < mask->len; i++)
		bits += (unsigned)__builtin_popcount(mask->bytes[i]);
	return bits;
}

/* Prefix length of the old address classes; IPv6 has none, so the interface's is used. */
static unsigned
class_bits(const struct raw_addr *a, unsigned interface_bits)
{
	if (a->family != AF_INET)
		return interface_bits;
	if (a->bytes[0] < 128)
		return 8;
	return a->bytes[0] < 192 ? 16 : 24;
}

static void
mask_apply(struct raw_addr *a, unsigned bits)
{
	for (size_t i = 0; i < a->len; i++) {
		unsigned here = bits > 8 ? 8 : bits;

		a->bytes[i] = (unsigned char)(a->bytes[i] & (0xff00u >> here));
		bits -= here;
	}
}

static void
network_add(struct buf *out, struct raw_addr a, unsigned bits)
{
	char text[INET6_ADDRSTRLEN];
	struct arena *mem = arena_new();
	struct str word, item, list = buf_str(out);
	bool known = false;

	mask_apply(&a, bits);
	inet_ntop(a.family, a.bytes, text, sizeof(text));
	word = str_printf(mem, a.family == AF_INET ? "%s/%u" : "[%s]/%u", text, bits);
	while (list_next(&list, &item))
		known = known || str_eq(item, word);
	if (!known) {
		if (out->len > 0)
			buf_add_char(out, ' ');
		buf_add(out, word);
	}
	arena_free(&mem);
}

/* Whether inet_interfaces selects the address. Host names in the list are not looked up
 * here: this must not wait for a name server; they select nothing. */
static bool
interface_selected(struct str only, const struct raw_addr *a, bool loopback)
{
	struct str item;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->family, a->bytes, text, sizeof(text));
	while (list_next(&only, &item)) {
		if (str_ieq(item, STR("all")))
			return true;
		if (str_ieq(item, STR("loopback-only")) && loopback)
			return true;
		if (str_starts(item, STR("[")) && str_ends(item, STR("]")))
			item = str_skip(str_head(item, item.len - 1), 1);
		if (str_istarts(item, STR("IPv6:")))
			item = str_skip(item, 5);
		if (str_ieq(item, str_from(text)))
			return true;
	}
	return false;
}

static unsigned
network_bits(const struct ifaddrs *i, const struct raw_addr *a, struct str style)
{
	unsigned all = (unsigned)a->len * 8;
	struct raw_addr mask;
	unsigned bits = raw_addr_from(i->ifa_netmask, &mask) ? mask_bits(&mask) : all;

	if (str_ieq(style, STR("host")))
		return all;
	return str_ieq(style, STR("class")) ? class_bits(a, bits) : bits;
}

struct str
config_networks(struct arena *mem, struct str style, struct str only,
		struct str protocols)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const char *const names[] = {"ipv4", "ipv6"};
	struct buf *out = buf_new(mem, NETWORKS_BYTES_MAX);
	struct ifaddrs *all = NULL;
	bool any = list_has(protocols, STR("all"));

	if (getifaddrs(&all) < 0)
		return STR("127.0.0.1/32 [::1]/128");
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		if (!any && !list_has(protocols, str_from(names[f])))
			continue;
		for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
			struct raw_addr a;

			if (!raw_addr_from(i->ifa_addr, &a) || a.family != families[f] ||
			    !(i->ifa_flags & IFF_UP))
				continue;
			if (!interface_selected(only, &a, i->ifa_flags & IFF_LOOPBACK))
				continue;
			network_add(out, a, network_bits(i, &a, style));
		}
	}
	freeifaddrs(all);
	return buf_str(out);
}

static struct str
get_or(const struct config *cfg, const char *name, const char *otherwise)
{
	struct str out;
	struct err err;

	if (!config_get(cfg->mem, cfg, str_from(name), &out, &err))
		return str_from(otherwise);
	return out;
}

static struct str
networks(const struct config *cfg)
{
	return config_networks(cfg->mem, get_or(cfg, "mynetworks_style", "host"),
			       get_or(cfg, "inet_interfaces", "all"),
			       get_or(cfg, "inet_protocols", "all"));
}

/* A host name without a dot gets the domain, and a domain that is not set comes from the
 * host name; the one that is set decides the other. */
static struct str
hostname(const struct config *cfg)
{
	struct str domain = STR("localdomain");

	if (str_contains(cfg->hostname, '.'))
		return cfg->hostname;
	if (config_is_set(cfg, STR("mydomain")))
		domain = get_or(cfg, "mydomain", "localdomain");
	return str_printf(cfg->mem, PRI_STR "." PRI_STR, STR_ARG(cfg->hostname),
			  STR_ARG(domain));
}

static struct str
domain(const struct config *cfg)
{
	struct str host = get_or(cfg, "myhostname", "localhost.localdomain");
	size_t dot = str_index(host, '.');

	return dot + 1 < host.len ? str_skip(host, dot + 1) : STR("localdomain");
}

static struct str
process_id(const struct config *cfg)
{
	return str_printf(cfg->mem, "%d", (int)getpid());
}

static const struct {
	struct str name;
	struct str (*compute)(const struct config *cfg);
	size_t offset;
} computed[] = {
	{STR_INIT("myhostname"), hostname, offsetof(struct config_computed, myhostname)},
	{STR_INIT("mydomain"), domain, offsetof(struct config_computed, mydomain)},
	{STR_INIT("mynetworks"), networks, offsetof(struct config_computed, mynetworks)},
	{STR_INIT("process_id"), process_id,
	 offsetof(struct config_computed, process_id)},
};

bool
config_computed_default(const struct config *cfg, struct str name, struct str *out)
{
	for (size_t i = 0; i < ARRAY_LEN(computed); i++) {
		struct str *kept;

		if (!str_eq(name, computed[i].name))
			continue;
		kept = (struct str *)(void *)((char *)cfg->computed + computed[i].offset);
		if (kept->p == NULL) {
			/* Empty while being computed: myhostname = a.$mydomain without
			 * a mydomain would go round in circles. */
			*kept = STR_EMPTY;
			*kept = computed[i].compute(cfg);
		}
		*out = *kept;
		return true;
	}
	if (str_eq(name, STR("process_name")))
		*out = cfg->process_name;
	else if (str_eq(name, STR("service_name")))
		*out = cfg->service_name;
	else if (str_eq(name, STR("stress")))
		*out = cfg->stress;
	else
		return false;
	return true;
}
