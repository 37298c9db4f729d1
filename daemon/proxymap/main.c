/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"
#include "ipc/deliver.h"
#include "ipc/messages.h"
#include "table/places.h"
#include "table/table.h"

#include "proxymap.h"

enum { WRITE_MS = 10000 };

/* A look-up, for a thread. */
struct job {
	struct table *table;
	struct arena *mem;
	struct str key, value;
	enum lookup result;
	struct err err;
};

/* ---- asking ---- */

static void
run(void *arg)
{
	struct job *j = arg;

	j->result = table_lookup(j->table, j->mem, j->key, &j->value, &j->err);
}

static void
look_up(struct proxymap *p, struct pool *pool, struct job *j)
{
	if (gate_enter(&pool->gate, loop_now_ms(p->daemon->loop) + POOL_WAIT_MS) !=
	    FIBER_WOKEN) {
		j->result = LOOKUP_FAILED;
		err_set(&j->err, ERR_TEMP, "too many look-ups wait for %s", pool->name);
		return;
	}
	j->table = pool->idle[--pool->n_idle];
	offload_run(pool->offload, run, j);
	pool->idle[pool->n_idle++] = j->table;
	gate_leave(&pool->gate);
}

static void
log_unapproved(struct proxymap *p, struct str name)
{
	struct log *log = p->daemon->log;

	log_warning(log, "request for unapproved table: \"" PRI_STR "\"", STR_ARG(name));
	log_warning(log,
		    "to approve this table for %s access, list proxy:" PRI_STR
		    " in main.cf:%s",
		    p->writes ? "read-write" : "read-only", STR_ARG(name),
		    p->writes ? "proxy_write_maps" : "proxy_read_maps");
}

static void
answer(struct proxymap *p, struct arena *mem, const struct msg_proxy_lookup *question,
       struct msg_proxy_answer *out)
{
	struct pool *pool = map_find(p->pools, question->table);
	struct job *j = ARENA_NEW(mem, struct job);

	*out = (struct msg_proxy_answer){.value = STR_EMPTY, .why = STR_EMPTY};
	if (pool == NULL) {
		log_unapproved(p, question->table);
		out->result = PROXY_DENIED;
		return;
	}
	j->mem = mem;
	j->key = question->key;
	look_up(p, pool, j);
	switch (j->result) {
	case LOOKUP_FOUND:
		if (j->value.len <= PROXY_VALUE_MAX) {
			out->result = PROXY_FOUND;
			out->value = j->value;
			return;
		}
		err_set(&j->err, ERR_TEMP, "the value has more than %d bytes",
			PROXY_VALUE_MAX);
		break;
	case LOOKUP_ABSENT:
		out->result = PROXY_ABSENT;
		return;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(p->daemon->log, "%s", j->err.text);
	out->result = PROXY_FAILED;
	out->why = str_from(arena_strdup(mem, j->err.text));
}

static bool
answer_question(struct daemon *d, struct arena *mem, void *question, struct ipc *ipc,
		struct err *err)
{
	struct msg_proxy_answer reply;

	answer(d->state, mem, question, &reply);
	return ipc_send(ipc, &ipc_proxy_answer, &reply, err);
}

static void
session(struct daemon *d, struct stream *client)
{
	struct proxymap *p = d->state;

	answerer_session(&p->answerer, client);
}

/* ---- the process ---- */

/* Keys come folded. Copies have memory of their own: each is for one thread at a time. */
static struct table *
open_copy(struct proxymap *p, const char *name, bool is_first)
{
	struct arena *mem = arena_new_child(p->daemon->mem);
	struct table *t;
	const char *const *texts;
	struct err err;
	size_t n;

	if (!table_open(mem, str_from(name), 0, &t, &err)) {
		if (is_first)
			log_warning(p->daemon->log, "%s", err.text);
		return table_failing(mem, str_from(name), &err);
	}
	n = table_warnings(t, &texts);
	for (size_t i = 0; i < n && is_first; i++)
		log_warning(p->daemon->log, "%s", texts[i]);
	return t;
}

static void
add_pool(struct proxymap *p, const char *name)
{
	struct pool *pool = ARENA_NEW(p->daemon->mem, struct pool);
	struct str type, rest;

	pool->name = name;
	/* What is in files needs no more than one, and is seldom asked here. */
	pool->size =
		str_split(str_from(name), ':', &type, &rest) && table_type_is_remote(type)
			? POOL_MAX
			: 1;
	for (size_t i = 0; i < pool->size; i++)
		pool->idle[i] = open_copy(p, name, i == 0);
	pool->n_idle = pool->size;
	gate_init(&pool->gate, p->daemon->loop, pool->size);
	map_set(p->pools, str_from(name), pool);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct proxymap *p = ARENA_NEW(d->mem, struct proxymap);
	const char *const *names;
	struct str *places;
	size_t n = 0;

	p->daemon = d;
	p->answerer = (struct answerer){.daemon = d,
					.question = &ipc_proxy_lookup,
					.write_ms = WRITE_MS,
					.answer = answer_question};
	answerer_init(&p->answerer);
	if (!proxymap_config_load(d->mem, d->config, &p->config, err))
		return false;
	p->writes = str_eq(str_from(d->service), p->config.proxywrite_service_name);
	if (!approved_tables(d->mem, p, &names, err))
		return false;
	p->pools = map_new_in(d->mem);
	while (names[n] != NULL)
		add_pool(p, names[n++]);
	places = arena_alloc_array(d->mem, n + 1, sizeof(*places));
	for (size_t i = 0; i < n; i++)
		places[i] = str_from(names[i]);
	d->tables = table_places(d->mem, places, n);
	d->state = p;
	return true;
}

/* Threads are started here and not in init(): they must be in the sandbox. */
static void
start(struct daemon *d)
{
	struct proxymap *p = d->state;
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(p->pools, &at)) != NULL) {
		struct pool *pool = e->value;

		pool->offload = offload_new(d->loop, (unsigned)pool->size);
	}
}

static void
drain(struct daemon *d)
{
	struct proxymap *p = d->state;

	answerer_drain(&p->answerer);
}

static void
release(struct daemon *d)
{
	struct proxymap *p = d->state;
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(p->pools, &at)) != NULL) {
		struct pool *pool = e->value;

		offload_free(&pool->offload);
	}
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "proxymap",
		.profile = SANDBOX_proxymap,
		.asks_in_place = true,
		.init = init,
		.start = start,
		.session = session,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
