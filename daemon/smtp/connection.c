/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: made, greeted, kept for a moment for the next mail to the same next hop,
 * ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/sys.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "fiber/connect.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "smtp/extension.h"

#include "log.h"
#include "login.h"
#include "quirks.h"
#include "smtp.h"
#include "tls.h"

enum { SWEEP_MS = 500, SMTPS_PORT = 465 };

static int64_t
now_ms(const struct smtp *s)
{
	return loop_now_ms(s->daemon->loop);
}

static void
connection_free(struct connection *c)
{
	stream_close(&c->stream);
	arena_free(&c->mem);
	mem_free(c);
}

void
connection_close(struct smtp *s, struct connection **connection)
{
	struct connection *c = *connection;

	(void)s;
	if (c == NULL)
		return;
	*connection = NULL;
	smtp_client_quit(&c->client);
	connection_free(c);
}

/* ---- opening ---- */

static const char *
address_text(const struct sockaddr_storage *sa, char *text, socklen_t size)
{
	const void *from =
		sa->ss_family == AF_INET
			? (const void *)&((const struct sockaddr_in *)(const void *)sa)
				  ->sin_addr
			: (const void *)&((const struct sockaddr_in6 *)(const void *)sa)
				  ->sin6_addr;

	return inet_ntop(sa->ss_family, from, text, size) == NULL ? "?" : text;
}

/* Take the local address that the configuration wants. One that is not ours (any more) is
 * only a warning, unless smtp_bind_address_enforce. */
static bool
bind_socket(struct smtp *s, int fd, sa_family_t family)
{
	bool v4 = family == AF_INET;
	const struct sockaddr_storage *from = v4 ? &s->bind4 : &s->bind6;
	socklen_t len = v4 ? s->bind4_len : s->bind6_len;
	char text[INET6_ADDRSTRLEN];

	if (family == AF_UNIX || len == 0 ||
	    sys_bind(fd, (const struct sockaddr *)from, len) == 0)
		return true;
	log_bind_failed(s->daemon->log, address_text(from, text, sizeof(text)),
			strerror(errno));
	return !s->config.smtp_bind_address_enforce;
}

enum dial_result { DIAL_CONNECTED, DIAL_FAILED, DIAL_NOT_BOUND };

static enum dial_result
dial(struct smtp *s, const struct lookup_host *host, struct stream **stream,
     struct err *err)
{
	int64_t timeout_ms = s->config.smtp_connect_timeout > 0
				     ? s->config.smtp_connect_timeout * 1000
				     : -1;
	int fd = sys_socket(host->sa.ss_family,
			    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		IGNORE(err_errno(err, ERR_TEMP, "socket"));
		return DIAL_FAILED;
	}
	if (!bind_socket(s, fd, host->sa.ss_family)) {
		sys_close(fd);
		return DIAL_NOT_BOUND;
	}
	return stream_connect_socket(s->daemon->loop, fd,
				     (const struct sockaddr *)&host->sa, host->sa_len,
				     timeout_ms, stream, err)
		       ? DIAL_CONNECTED
		       : DIAL_FAILED;
}

/* TLS and log-in for this server; without both nothing is said to it. */
static bool
arrange_security(struct smtp *s, struct connection_order *o, struct connection *c,
		 struct smtp_client_options *options, struct dsn *dsn)
{
	struct smtp_tls_plan *plan = ARENA_NEW(c->mem, struct smtp_tls_plan);
	struct login *login = ARENA_NEW(c->mem, struct login);

	if (!tls_plan(s, c->mem, o, c->relay, plan, dsn))
		return false;
	if (o->plain)
		plan->options.level = TLS_LEVEL_NONE;
	options->tls = plan;
	c->keeps_tls = o->policy->reuse;
	if (o->host->port == SMTPS_PORT && !plan->wrapper)
		log_wrappermode(s->daemon->log);
	switch (login_find(s, c->mem, o->r->msg.sender, o->host, o->destination, login)) {
	case LOGIN_FOUND:
		options->login = &login->engine;
		o->has_login = true;
		return true;
	case LOGIN_NONE:
		return true;
	case LOGIN_UNKNOWN:
		break;
	}
	*dsn = dsn_make(c->mem, "4.3.0", STR("Temporary lookup error"));
	return false;
}

static void
log_greeting(struct smtp *s, const struct connection_order *o, const struct connection *c,
	     struct str discarded, bool ok)
{
	struct log *log = s->daemon->log;

	if (c->client.pix != 0)
		log_pix(log, o->r->msg.queue_id, smtp_pix_name(c->client.pix), c->relay);
	if (c->client.offered_starttls && c->client.options.tls->note_offer)
		log_starttls_offer(log, o->host->name);
	if (ok && discarded.len > 0 && (c->client.features & SMTP_FEATURE_ESMTP) != 0)
		log_discarding(log, discarded);
	if (ok && c->client.greeted_as_us)
		log_greeted_as_us(log, c->relay, s->common.myhostname);
}

/* On the new connection: greeting and EHLO, as this server needs it. */
static bool
greet(struct smtp *s, struct connection_order *o, struct connection *c, struct dsn *dsn)
{
	struct smtp_client_options options = s->options;
	struct str discarded;
	bool ok;

	options.best_preference = o->host->preference == o->hosts->hosts[0].preference;
	quirks_filter_replies(s, ARENA_NEW(c->mem, struct quirks_filter), c->relay,
			      &options);
	ok = quirks_apply(s, o->r, o->host, c->mem, &options, &discarded);
	*dsn = dsn_printf(c->mem, "4.3.0", "local data error while talking to " PRI_STR,
			  STR_ARG(c->server));
	ok = ok && arrange_security(s, o, c, &options, dsn);
	smtp_client_init(&c->client, c->mem, c->stream, &options, c->server,
			 o->destination);
	if (!ok)
		return false;
	ok = smtp_client_greet(&c->client, dsn) == SMTP_SESSION_OK;
	o->tls_failed =
		c->client.tls_failed && options.tls->options.level == TLS_LEVEL_MAY;
	log_greeting(s, o, c, discarded, ok);
	return ok;
}

static struct dsn
not_connected(struct smtp *s, const struct agent_request *r, const struct connection *c,
	      enum dial_result result, const struct err *err)
{
	const char *why = strerror(err->errnum != 0 ? err->errnum : EIO);

	if (result == DIAL_NOT_BOUND) {
		log_not_bound(s->daemon->log);
		return dsn_make(r->mem, "4.4.0", STR("server configuration error"));
	}
	if (err->errnum != ECANCELED)
		log_connect_failed(s->daemon->log, c->relay, why);
	return dsn_printf(r->mem, "4.4.1", "connect to " PRI_STR ": %s",
			  STR_ARG(c->relay), why);
}

struct connection *
connection_open(struct smtp *s, struct connection_order *order)
{
	const struct agent_request *r = order->r;
	const struct lookup_host *host = order->host;
	struct connection *c = mem_alloc(sizeof(*c));
	enum dial_result result;
	struct err err = {0};
	struct dsn dsn;

	c->mem = arena_new();
	list_init(&c->link);
	c->key = str_dup(c->mem, order->key);
	c->server = str_printf(c->mem, PRI_STR "[" PRI_STR "]", STR_ARG(host->name),
			       STR_ARG(host->address));
	c->relay = host->sa.ss_family == AF_UNIX
			   ? c->server
			   : str_printf(c->mem, PRI_STR ":%u", STR_ARG(c->server),
					host->port);
	result = dial(s, host, &c->stream, &err);
	if (result != DIAL_CONNECTED) {
		order->dsn = not_connected(s, r, c, result, &err);
		connection_free(c);
		return NULL;
	}
	c->born_ms = now_ms(s);
	if (greet(s, order, c, &dsn))
		return c;
	order->dsn = dsn_dup(r->mem, &dsn);
	order->relay = str_dup(r->mem, c->relay);
	connection_close(s, &c);
	return NULL;
}

/* ---- the cache ---- */

struct connection *
cache_take(struct smtp *s, struct str key)
{
	list_foreach_safe(at, next, &s->cache)
	{
		struct connection *c = CONTAINER_OF(at, struct connection, link);
		struct dsn dsn;

		if (!str_eq(c->key, key))
			continue;
		list_remove(&c->link);
		/* Data that nobody asked for, or the end: it is closing. */
		if (!stream_has_input(c->stream) &&
		    smtp_client_probe(&c->client, &dsn) == SMTP_SESSION_OK) {
			c->reuse++;
			return c;
		}
		connection_free(c);
		/* The list may have changed while we waited for the probe. */
		return cache_take(s, key);
	}
	return NULL;
}

static bool
is_worth_keeping(const struct smtp *s, const struct connection *c)
{
	const struct smtp_config *g = &s->config;

	if (!smtp_client_is_usable(&c->client) || s->daemon->draining ||
	    (c->client.has_tls && !c->keeps_tls))
		return false;
	if (g->smtp_connection_reuse_count_limit > 0 &&
	    c->reuse >= (unsigned)g->smtp_connection_reuse_count_limit)
		return false;
	return now_ms(s) - c->born_ms < g->smtp_connection_reuse_time_limit * 1000;
}

void
cache_give_back(struct smtp *s, struct connection *c)
{
	if (!is_worth_keeping(s, c)) {
		connection_close(s, &c);
		return;
	}
	c->idle_since_ms = now_ms(s);
	stream_idle(c->stream);
	list_append(&s->cache, &c->link);
	if (!timer_is_active(&s->sweep))
		timer_start_ms(&s->sweep, SWEEP_MS);
}

/* Saying goodbye may have to wait: not in the loop. */
struct goodbye {
	struct smtp *smtp;
	struct connection *connection;
};

static void
say_goodbye(void *arg)
{
	struct goodbye *g = arg;

	connection_close(g->smtp, &g->connection);
	mem_free(g);
}

static void
end_idle(struct smtp *s, struct connection *c)
{
	struct goodbye *g = mem_alloc(sizeof(*g));

	list_remove(&c->link);
	*g = (struct goodbye){s, c};
	if (fiber_spawn(s->daemon->loop, "goodbye", say_goodbye, g) == NULL) {
		connection_free(c);
		mem_free(g);
	}
}

static void
sweep(struct timer *t, void *arg)
{
	struct smtp *s = arg;
	int64_t limit_ms = MIN_OF(s->config.smtp_connection_cache_time_limit,
				  s->config.connection_cache_ttl_limit) *
			   1000;

	list_foreach_safe(at, next, &s->cache)
	{
		struct connection *c = CONTAINER_OF(at, struct connection, link);

		if (now_ms(s) - c->idle_since_ms >= limit_ms || s->daemon->draining)
			end_idle(s, c);
	}
	if (!list_is_empty(&s->cache))
		timer_start_ms(t, SWEEP_MS);
}

void
cache_init(struct smtp *s)
{
	list_init(&s->cache);
	timer_init(&s->sweep, s->daemon->loop, sweep, s);
}

void
cache_drop_all(struct smtp *s)
{
	while (!list_is_empty(&s->cache))
		end_idle(s, CONTAINER_OF(list_first(&s->cache), struct connection, link));
	timer_stop(&s->sweep);
}
