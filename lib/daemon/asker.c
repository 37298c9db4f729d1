/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/asker.h"

#include <errno.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

#include "config/config.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/messages.h"
#include "table/host.h"

#include "daemon/daemon.h"

enum { CONNECT_MS = 10000, IDLE_MAX = 16, TRIES = 3 };

struct table_asker {
	struct daemon *d;
	const char *path;
	struct list idle;
	size_t n_idle;
};

struct connection {
	struct list link;
	struct stream *stream;
	struct ipc ipc;
};

static void
connection_free(struct connection *c)
{
	stream_discard_output(c->stream);
	stream_close(&c->stream);
	mem_free(c);
}

static struct connection *
connection_new(struct table_asker *a, struct err *err)
{
	struct stream *stream;
	struct connection *c;

	if (!daemon_connect(a->d, a->path, CONNECT_MS, &stream, err))
		return NULL;
	c = mem_alloc(sizeof(*c));
	list_init(&c->link);
	c->stream = stream;
	ipc_init(&c->ipc, stream);
	return c;
}

/* One that was kept, or a new one. */
static struct connection *
take(struct table_asker *a, struct err *err)
{
	struct connection *c;

	while (a->n_idle > 0) {
		c = CONTAINER_OF(list_first(&a->idle), struct connection, link);
		list_remove(&c->link);
		a->n_idle--;
		/* Input can only be the end: proxymap was replaced. */
		if (!stream_has_input(c->stream))
			return c;
		connection_free(c);
	}
	return connection_new(a, err);
}

static void
keep(struct table_asker *a, struct connection *c)
{
	if (a->n_idle >= IDLE_MAX || a->d->draining) {
		connection_free(c);
		return;
	}
	list_prepend(&a->idle, &c->link);
	a->n_idle++;
}

static bool
exchange(struct connection *c, struct arena *mem, const struct msg_proxy_lookup *question,
	 struct msg_proxy_answer *answer_out, struct err *err)
{
	stream_set_deadline_ms(c->stream,
			       loop_now_ms(stream_loop(c->stream)) + ASKER_ANSWER_MS);
	if (!ipc_send(&c->ipc, &ipc_proxy_lookup, question, err))
		return false;
	switch (ipc_receive(&c->ipc, mem, &ipc_proxy_answer, answer_out, err)) {
	case IPC_DONE:
		return true;
	case IPC_CLOSED:
		return err_set(err, ERR_TEMP, "no answer from proxymap");
	case IPC_FAILED:
		break;
	}
	return false;
}

static enum lookup
result_of(const struct msg_proxy_answer *answer, struct str *value_out, struct err *err)
{
	switch ((enum proxy_result)answer->result) {
	case PROXY_FOUND:
		*value_out = answer->value;
		return LOOKUP_FOUND;
	case PROXY_ABSENT:
		return LOOKUP_ABSENT;
	case PROXY_DENIED:
		err_set(err, ERR_CONFIG, "proxymap is not configured for this table");
		return LOOKUP_FAILED;
	case PROXY_FAILED:
		break;
	}
	err_set(err, ERR_TEMP, PRI_STR, STR_ARG(answer->why));
	return LOOKUP_FAILED;
}

static enum lookup
ask(void *arg, struct arena *mem, const char *table, struct str key,
    struct str *value_out, struct err *err)
{
	struct table_asker *a = arg;
	const struct msg_proxy_lookup question = {.table = str_from(table), .key = key};
	struct fiber *self = fiber_current(a->d->loop);
	struct msg_proxy_answer answer;

	if (key.len > PROXY_KEY_MAX)
		return LOOKUP_ABSENT;
	if (self == NULL) {
		err_set(err, ERR_TEMP, "asked where nothing can wait");
		return LOOKUP_FAILED;
	}
	for (int i = 0; i < TRIES && !fiber_is_cancelled(self); i++) {
		struct connection *c = take(a, err);

		if (c == NULL)
			return LOOKUP_FAILED;
		if (exchange(c, mem, &question, &answer, err)) {
			keep(a, c);
			return result_of(&answer, value_out, err);
		}
		connection_free(c);
		if (err->errnum == ETIMEDOUT)
			break;
	}
	if (fiber_is_cancelled(self))
		err_set(err, ERR_TEMP, "the process is about to end");
	return LOOKUP_FAILED;
}

void
asker_use(struct table_asker *asker, struct arena *mem, const struct config *config)
{
	struct table_host *host = ARENA_NEW(mem, struct table_host);

	host->config = config;
	if (asker != NULL) {
		host->ask = ask;
		host->arg = asker;
	}
	table_host_set(mem, host);
}

bool
asker_install(struct daemon *d, struct table_asker **out, struct err *err)
{
	struct table_asker *a = ARENA_NEW(d->mem, struct table_asker);
	struct str name;

	if (!config_get(d->mem, d->config, STR("proxymap_service_name"), &name, err))
		return false;
	a->d = d;
	a->path = str_printf(d->mem, "private/" PRI_STR, STR_ARG(name)).p;
	list_init(&a->idle);
	asker_use(a, d->mem, d->config);
	*out = a;
	return true;
}

void
asker_release(struct table_asker *a)
{
	struct list *first;

	if (a == NULL)
		return;
	while ((first = list_first(&a->idle)) != NULL) {
		struct connection *c = CONTAINER_OF(first, struct connection, link);

		list_remove(&c->link);
		connection_free(c);
	}
	a->n_idle = 0;
}
