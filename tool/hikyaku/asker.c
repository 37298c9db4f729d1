/* SPDX-License-Identifier: Apache-2.0 */
#include "asker.h"

#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

#include "fiber/connect.h"
#include "fiber/loop.h"

enum { CONNECT_MS = 2000, ANSWER_MS = 30000 };

static bool
open_stream(struct asker *a)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct err err;

	if (a->stream != NULL)
		return true;
	if (a->no_resolver || a->socket.len >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, a->socket.p, a->socket.len);
	if (!stream_connect(a->loop, (struct sockaddr *)&to, sizeof(to), NULL, 0,
			    CONNECT_MS, &a->stream, &err))
		return false;
	stream_set_timeout_ms(a->stream, ANSWER_MS);
	ipc_init(&a->ipc, a->stream);
	return true;
}

static void
ask(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
    struct dns_answer *out)
{
	struct asker *a = arg;
	struct err err;

	if (open_stream(a) && dns_exchange(&a->ipc, mem, name, type, native, out, &err))
		return;
	a->no_resolver = true;
	a->stub.dns.ask(&a->stub, mem, name, type, native, out);
}

void
asker_init(struct asker *a, struct loop *loop, struct str queue_directory,
	   const struct servers *servers)
{
	static const char path[] = "/private/resolver";
	char *joined = mem_alloc(mem_size_add(queue_directory.len, sizeof(path)));

	*a = (struct asker){.dns = {.ask = ask, .arg = a}, .loop = loop};
	stub_init(&a->stub, servers, STUB_BUDGET_MS);
	memcpy(joined, queue_directory.p, queue_directory.len);
	memcpy(joined + queue_directory.len, path, sizeof(path));
	a->socket = str_from(joined);
}

void
asker_close(struct asker *a)
{
	stream_close(&a->stream);
	mem_free((void *)(uintptr_t)a->socket.p);
}
