/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/server_name.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"

#include "dns/dns.h"
#include "dns/lookup.h"
#include "fiber/connect.h"
#include "fiber/loop.h"

/* The names that mail configurations use; they work without a services file. */
static const struct {
	struct str name;
	unsigned port;
} known_ports[] = {
	{STR_INIT("smtp"), 25},        {STR_INIT("lmtp"), 24},
	{STR_INIT("smtps"), 465},      {STR_INIT("submissions"), 465},
	{STR_INIT("submission"), 587},
};

unsigned
server_port(struct str service)
{
	struct servent found;
	struct servent *entry = NULL;
	char space[1024];
	char name[64];
	uint64_t number;

	if (str_to_u64(service, 65535, &number))
		return (unsigned)number;
	for (size_t i = 0; i < ARRAY_LEN(known_ports); i++) {
		if (str_ieq(service, known_ports[i].name))
			return known_ports[i].port;
	}
	if (service.len == 0 || service.len >= sizeof(name))
		return 0;
	for (size_t i = 0; i < service.len; i++)
		name[i] = service.p[i];
	name[service.len] = '\0';
	if (getservbyname_r(name, "tcp", &found, space, sizeof(space), &entry) != 0 ||
	    entry == NULL)
		return 0;
	return ntohs((uint16_t)entry->s_port);
}

/* ---- parsing ---- */

static bool
parse_path(struct arena *mem, struct str path, struct server_name *out, struct err *err)
{
	struct sockaddr_un sa;

	if (path.len == 0)
		return err_set(err, ERR_CONFIG, "the path is missing");
	if (path.len >= sizeof(sa.sun_path))
		return err_set(err, ERR_CONFIG, "the path is too long");
	*out = (struct server_name){.is_unix = true, .path = str_dup(mem, path)};
	return true;
}

/* "host:port", "[address]:port", "port@host", "port@[address]". */
static bool
parse_inet(struct arena *mem, struct str text, struct server_name *out, struct err *err)
{
	struct str port;
	struct str host;
	size_t at = str_rindex(text, '@');
	size_t colon = str_rindex(text, ':');

	if (at < text.len) {
		port = str_head(text, at);
		host = str_skip(text, at + 1);
	} else if (colon < text.len) {
		host = str_head(text, colon);
		port = str_skip(text, colon + 1);
	} else {
		return err_set(err, ERR_CONFIG, "the port is missing");
	}
	if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = str_head(str_skip(host, 1), host.len - 2);
	if (host.len == 0 || host.len > DNS_NAME_MAX)
		return err_set(err, ERR_CONFIG, "the host is missing or too long");
	*out = (struct server_name){.host = str_dup(mem, host),
				    .port = server_port(port)};
	if (out->port == 0)
		return err_set(err, ERR_CONFIG, "unknown port");
	return true;
}

bool
server_name_parse(struct arena *mem, struct str text, struct server_name *out,
		  struct err *err)
{
	if (str_starts(text, STR("unix:")))
		return parse_path(mem, str_skip(text, strlen("unix:")), out, err);
	if (str_starts(text, STR("local:")))
		return parse_path(mem, str_skip(text, strlen("local:")), out, err);
	if (str_starts(text, STR("inet:")))
		text = str_skip(text, strlen("inet:"));
	return parse_inet(mem, text, out, err);
}

/* ---- connecting ---- */

static bool
connect_unix(struct loop *loop, struct str path, int64_t timeout_ms, struct stream **out,
	     struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	ensure(path.len < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path.p, path.len);
	return stream_connect(loop, (struct sockaddr *)&sa, sizeof(sa), NULL, 0,
			      timeout_ms, out, err);
}

static bool
connect_inet(struct loop *loop, const struct lookup_answer *found, int64_t timeout_ms,
	     struct stream **out, struct err *err)
{
	int64_t deadline = loop_now_ms(loop) + timeout_ms;

	for (size_t i = 0; i < found->n_hosts; i++) {
		const struct lookup_host *host = &found->hosts[i];
		int64_t left = deadline - loop_now_ms(loop);

		if (stream_connect(loop, (const struct sockaddr *)&host->sa, host->sa_len,
				   NULL, 0, MAX_OF(left, (int64_t)0), out, err))
			return true;
	}
	return false;
}

bool
server_name_connect(struct loop *loop, struct arena *mem, const struct dns_asker *dns,
		    const struct server_name *name, int64_t timeout_ms,
		    struct stream **out, struct err *err)
{
	const struct lookup_rules rules = {
		.native = true, .dns = true, .use_ipv4 = true, .use_ipv6 = true};
	int64_t start = loop_now_ms(loop);
	struct lookup_answer found;
	int64_t left;

	if (name->is_unix)
		return connect_unix(loop, name->path, timeout_ms, out, err);
	lookup_hosts(mem, dns, &rules, name->host, false, name->port, 0, &found);
	if (found.result != LOOKUP_HAVE_HOSTS)
		return err_set(err, ERR_TEMP, PRI_STR, STR_ARG(found.dsn.reason));
	left = timeout_ms - (loop_now_ms(loop) - start);
	return connect_inet(loop, &found, MAX_OF(left, (int64_t)0), out, err);
}
