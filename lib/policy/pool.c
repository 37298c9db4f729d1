/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to policy services, and a question over one of them.
 */
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/mem.h"

#include "dns/dns.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/stream.h"

#include "policy/policy.h"

enum { MS = 1000 };

struct connection {
	struct list link; /* while it is idle */
	const struct policy_service *service;
	struct stream *stream;
	int64_t born_ms, used_ms;
	int64_t requests;
};

struct policy_pool {
	struct loop *loop;
	struct list idle; /* the last used one first */
	struct timer timer;
	bool closed;
};

/* ---- the pool ---- */

static void
connection_free(struct connection *c)
{
	list_remove(&c->link);
	stream_discard_output(c->stream);
	stream_close(&c->stream);
	mem_free(c);
}

/* When an idle one is to be closed. */
static int64_t
end_of(const struct connection *c)
{
	int64_t by_idle = c->used_ms + c->service->max_idle_s * MS;
	int64_t by_age = c->born_ms + c->service->max_ttl_s * MS;

	return MIN_OF(by_idle, by_age);
}

static void
expire(struct policy_pool *pool)
{
	int64_t now = loop_now_ms(pool->loop);
	int64_t next = LOOP_FOREVER;

	list_foreach_safe(at, next_at, &pool->idle)
	{
		struct connection *c = CONTAINER_OF(at, struct connection, link);
		int64_t end = end_of(c);

		if (pool->closed || end <= now)
			connection_free(c);
		else
			next = MIN_OF(next, end);
	}
	timer_start_at(&pool->timer, next);
}

static void
on_timer(struct timer *t, void *arg)
{
	(void)t;
	expire(arg);
}

static void
pool_release(void *arg)
{
	policy_pool_close(arg);
}

struct policy_pool *
policy_pool_new(struct arena *mem, struct loop *loop)
{
	struct policy_pool *pool = ARENA_NEW(mem, struct policy_pool);

	pool->loop = loop;
	list_init(&pool->idle);
	timer_init(&pool->timer, loop, on_timer, pool);
	arena_defer(mem, pool_release, pool);
	return pool;
}

void
policy_pool_close(struct policy_pool *pool)
{
	pool->closed = true;
	expire(pool);
}

/* An idle one that the server has not closed meanwhile; NULL. */
static struct connection *
take_idle(struct policy_pool *pool, const struct policy_service *service)
{
	int64_t now = loop_now_ms(pool->loop);

	list_foreach_safe(at, next_at, &pool->idle)
	{
		struct connection *c = CONTAINER_OF(at, struct connection, link);

		if (c->service != service)
			continue;
		/* Nobody has asked: input is the end of the connection, or nonsense. */
		if (end_of(c) > now && !stream_has_input(c->stream)) {
			list_remove(&c->link);
			return c;
		}
		connection_free(c);
	}
	return NULL;
}

/* The oldest goes where there are too many. */
static void
put_idle(struct policy_pool *pool, struct connection *c)
{
	const struct policy_service *s = c->service;
	struct connection *last = NULL;
	size_t n = 0;

	c->used_ms = loop_now_ms(pool->loop);
	list_prepend(&pool->idle, &c->link);
	list_foreach (at, &pool->idle) {
		struct connection *other = CONTAINER_OF(at, struct connection, link);

		if (other->service == s) {
			last = other;
			n++;
		}
	}
	if (n > POLICY_IDLE_MAX)
		connection_free(last);
	expire(pool);
}

static void
put_back(struct policy_pool *pool, struct connection *c)
{
	const struct policy_service *s = c->service;

	c->requests++;
	if (s->request_limit > 0 && c->requests >= s->request_limit)
		connection_free(c);
	else
		put_idle(pool, c);
}

/* ---- one attempt ---- */

struct attempt {
	struct policy_pool *pool;
	struct arena *mem;
	const struct dns_asker *dns;
	const struct policy_service *service;
	struct str request;
};

static struct connection *
connect_new(const struct attempt *a, struct err *err)
{
	struct stream *stream = NULL;
	struct connection *c;

	if (!server_name_connect(a->pool->loop, a->mem, a->dns, &a->service->server,
				 a->service->timeout_s * MS, &stream, err))
		return NULL;
	c = mem_alloc(sizeof(*c));
	*c = (struct connection){.service = a->service,
				 .stream = stream,
				 .born_ms = loop_now_ms(a->pool->loop)};
	list_init(&c->link);
	return c;
}

static bool
broken(struct connection *c, enum stream_status status, struct err *err)
{
	int error = stream_errno(c->stream);

	if (status == STREAM_EOF)
		return err_set(err, ERR_TEMP, "Connection closed by the server");
	if (status == STREAM_TIMEOUT)
		return err_set(err, ERR_TEMP, "Connection timed out");
	return err_set(err, ERR_TEMP, "%s",
		       status == STREAM_ERROR && error != 0 ? strerror(error)
							    : stream_status_name(status));
}

static bool
read_reply(const struct attempt *a, struct connection *c, struct str *action_out,
	   struct err *err)
{
	for (;;) {
		struct str text = stream_peek(c->stream);
		struct str action;
		enum stream_status status;
		const char *why = NULL;
		size_t length;

		switch (policy_reply_parse(text, &action, &length, &why)) {
		case POLICY_PARSE_DONE:
			*action_out = str_dup(a->mem, action);
			stream_consume(c->stream, length);
			return stream_buffered(c->stream) == 0 ||
			       err_set(err, ERR_TEMP, "more than one answer");
		case POLICY_PARSE_BAD:
			return err_set(err, ERR_TEMP, "%s", why);
		case POLICY_PARSE_MORE:
			break;
		}
		if (text.len >= POLICY_REPLY_MAX)
			return err_set(err, ERR_TEMP, "the answer is too long");
		status = stream_fill(c->stream);
		if (status != STREAM_OK)
			return broken(c, status, err);
	}
}

static bool
exchange(const struct attempt *a, struct connection *c, struct str *action_out,
	 struct err *err)
{
	int64_t ms = a->service->timeout_s * MS;
	enum stream_status status;

	stream_set_deadline_ms(c->stream, loop_deadline_ms(a->pool->loop, ms));
	status = stream_write(c->stream, a->request);
	if (status == STREAM_OK)
		status = stream_flush(c->stream);
	if (status != STREAM_OK)
		return broken(c, status, err);
	return read_reply(a, c, action_out, err);
}

/* What became of an attempt. */
enum outcome {
	ANSWERED,
	NOT_CONNECTED,
	BROKEN,     /* in the middle */
	OLD_BROKEN, /* over a connection from before, which the server has just closed */
};

static enum outcome
try_once(const struct attempt *a, struct str *action_out, struct err *err)
{
	struct connection *c = take_idle(a->pool, a->service);
	bool is_old = c != NULL;

	if (c == NULL)
		c = connect_new(a, err);
	if (c == NULL)
		return NOT_CONNECTED;
	if (!exchange(a, c, action_out, err)) {
		connection_free(c);
		return is_old ? OLD_BROKEN : BROKEN;
	}
	put_back(a->pool, c);
	return ANSWERED;
}

/* ---- asking ---- */

bool
policy_ask(struct policy_pool *pool, struct arena *mem, const struct dns_asker *dns,
	   const struct policy_service *service, struct str request,
	   void (*warn)(void *arg, struct str text), void *arg, struct str *action_out)
{
	const struct attempt attempt = {pool, mem, dns, service, request};
	const struct str name = service->name;
	struct err err = {.kind = ERR_NONE};

	for (int64_t i = 1;; i++) {
		enum outcome outcome = try_once(&attempt, action_out, &err);
		const char *why = err.errnum != 0 ? strerror(err.errnum) : err.text;

		if (outcome == ANSWERED)
			return true;
		if (outcome == NOT_CONNECTED)
			warn(arg, str_printf(mem, "connect to " PRI_STR ": %s",
					     STR_ARG(name), why));
		/* A server that just goes away is told of when it does so again. */
		if (outcome != OLD_BROKEN || i > 1)
			warn(arg,
			     str_printf(mem, "problem talking to server " PRI_STR ": %s",
					STR_ARG(name), why));
		if (i >= service->try_limit ||
		    !fiber_sleep(pool->loop, service->retry_delay_s * MS))
			return false;
	}
}
