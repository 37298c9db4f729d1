/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/sys.h"

#include "smtp/nexthop.h"

#include "smtp.h"

/* Relative to the queue directory, where we are. */
static void
unix_host(struct smtp *s, struct arena *mem, struct str path, struct lookup_answer *out)
{
	struct lookup_host *host = ARENA_NEW(mem, struct lookup_host);
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&host->sa;

	*out = (struct lookup_answer){.result = LOOKUP_NO_HOSTS};
	if (path.len >= sizeof(un->sun_path)) {
		out->dsn = dsn_make(mem, "4.3.5", STR("Server configuration error"));
		return;
	}
	host->name = s->common.myhostname;
	host->address = path;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.p, path.len);
	host->sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
	out->result = LOOKUP_HAVE_HOSTS;
	out->hosts = host;
	out->n_hosts = 1;
}

void
hosts_find(struct smtp *s, struct arena *mem, const struct dns_asker *dns,
	   const struct nexthop *n, struct lookup_answer *out)
{
	if (n->is_unix)
		unix_host(s, mem, n->host, out);
	else
		lookup_hosts(mem, dns, &s->rules, n->host, n->mx, n->port,
			     (uint64_t)sys_mono_us(), out);
}
