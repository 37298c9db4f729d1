/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"

#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "smtp/proxy_header.h"
#include "table/match.h"

#include "cache.h"
#include "dummy.h"
#include "early.h"
#include "log.h"
#include "postscreen.h"

enum { MS = 1000, US_PER_S = 1000000, PASS_MS = 100000, LAST_REPLY_MS = 10000 };
enum { PROXY_LOOK_MS = 20 };

int64_t
screen_now(void)
{
	return sys_now_us() / US_PER_S;
}

/* ---- what tests say ---- */

void
client_drop(struct client *c, struct str reply)
{
	c->dropped = true;
	c->keeps_out = true;
	c->final_reply = reply;
}

bool
client_fail(struct client *c, unsigned bit, enum screen_action action,
	    struct str drop_reply, struct str enforce_reply)
{
	c->passed &= ~bit;
	switch (action) {
	case ACTION_IGNORE:
		c->settled |= bit;
		return true;
	case ACTION_ENFORCE:
		c->failed |= bit;
		c->keeps_out = true;
		c->rcpt_reply = enforce_reply;
		return true;
	case ACTION_DROP:
		break;
	}
	c->failed |= bit;
	client_drop(c, drop_reply);
	return false;
}

void
client_pass(struct client *c, enum screen_test test, int64_t until)
{
	unsigned bit = 1u << test;

	if ((c->todo & bit) == 0 || (c->failed & bit) != 0)
		return;
	c->passed |= bit;
	c->stamps.until[test] = until;
}

void
client_hangup(struct client *c, const char *phase)
{
	c->gone = true;
	c->keeps_out = true;
	log_hangup(c, phase);
}

/* ---- addresses ---- */

static bool
to_text(struct arena *mem, const struct sockaddr_storage *ss, struct str *address_out,
	struct str *port_out)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	char text[INET6_ADDRSTRLEN];
	const char *shown = NULL;
	in_port_t port = 0;

	if (ss->ss_family == AF_INET) {
		shown = inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		port = in->sin_port;
	} else if (ss->ss_family == AF_INET6) {
		shown = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)
				? inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text,
					    sizeof(text))
				: inet_ntop(AF_INET6, &in6->sin6_addr, text,
					    sizeof(text));
		port = in6->sin6_port;
	}
	if (shown == NULL)
		return false;
	*address_out = str_dup(mem, str_from(text));
	*port_out = str_printf(mem, "%u", ntohs(port));
	return true;
}

static bool
find_addresses(struct client *c)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(ss);
	int fd = stream_fd(c->stream);

	if (getpeername(fd, (struct sockaddr *)&ss, &len) != 0 ||
	    !to_text(c->mem, &ss, &c->address, &c->port)) {
		log_warning(c->screen->log, "getpeername: %s -- dropping this connection",
			    strerror(errno));
		return false;
	}
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    to_text(c->mem, &ss, &c->server_address, &c->server_port))
		return true;
	log_warning(c->screen->log, "getsockname: %s -- dropping this connection",
		    strerror(errno));
	return false;
}

/* Only the header is taken off the socket: what follows is for the SMTP server. */
static enum proxy_result
look_at_header(struct client *c, struct proxy_header *h, const char **why)
{
	char *bytes = arena_alloc(c->now, PROXY_V2_MAX);
	int fd = stream_fd(c->stream);
	ssize_t n = sys_recv(fd, bytes, PROXY_V2_MAX, MSG_PEEK | MSG_DONTWAIT);
	enum proxy_result result;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PROXY_MORE;
	*why = "short protocol header";
	if (n <= 0)
		return PROXY_BAD;
	result = proxy_header_parse(c->mem, str_from_mem(bytes, (size_t)n),
				    c->screen->ipv4, c->screen->ipv6, h, why);
	if (result == PROXY_DONE &&
	    sys_recv(fd, bytes, h->length, MSG_DONTWAIT) != (ssize_t)h->length) {
		*why = "short protocol header";
		return PROXY_BAD;
	}
	return result;
}

static bool
read_proxy_header(struct client *c)
{
	struct loop *loop = c->screen->daemon->loop;
	int64_t end =
		loop_deadline_ms(loop, c->config->postscreen_upstream_proxy_timeout * MS);
	struct proxy_header h;
	const char *why = "timeout error";

	for (;;) {
		enum proxy_result r = look_at_header(c, &h, &why);

		if (r == PROXY_DONE)
			break;
		if (r == PROXY_MORE && loop_now_ms(loop) < end &&
		    fiber_sleep(loop, PROXY_LOOK_MS)) {
			arena_reset(c->now);
			continue;
		}
		log_warning(c->screen->log, "haproxy read: %s",
			    r == PROXY_MORE ? "timeout error" : why);
		return false;
	}
	if (h.keeps_peer)
		return true;
	c->address = str_dup(c->mem, h.client_address);
	c->port = str_dup(c->mem, h.client_port);
	c->server_address = str_dup(c->mem, h.server_address);
	c->server_port = str_dup(c->mem, h.server_port);
	c->is_proxied = true;
	return true;
}

/* ---- how many there are ---- */

struct count {
	size_t n;
};

static size_t
count_begin(struct client *c)
{
	struct count *n = map_find(c->screen->connections, c->address);

	if (n == NULL) {
		n = mem_alloc(sizeof(*n));
		map_set(c->screen->connections, c->address, n);
	}
	return ++n->n;
}

static void
count_end(struct client *c)
{
	struct count *n = map_find(c->screen->connections, c->address);

	if (n == NULL || --n->n > 0)
		return;
	map_remove(c->screen->connections, c->address);
	mem_free(n);
}

/* 90 percent of postscreen_pre_queue_limit and more is stress, until it is 70. */
static void
note_stress(struct screen *s)
{
	size_t limit = (size_t)s->config.postscreen_pre_queue_limit;

	if (!s->is_stressed && s->n_checking * 10 >= limit * 9) {
		s->is_stressed = true;
		log_info(s->log, "entering STRESS mode with %zu connections",
			 s->n_checking);
	} else if (s->is_stressed && s->n_checking * 10 <= limit * 7) {
		s->is_stressed = false;
		log_info(s->log, "leaving STRESS mode with %zu connections",
			 s->n_checking);
	}
}

/* ---- the end ---- */

static void
keep_result(struct client *c)
{
	struct err err;

	if (c->screen->cache == NULL ||
	    cache_store(c->screen->cache, c->address, &c->stamps, &err))
		return;
	log_warning(c->screen->log, "%s: %s", c->screen->cache_name, err.text);
}

static void
hand_over(struct client *c)
{
	struct screen *s = c->screen;
	const struct daemon_passed passed = {
		.client_address = c->is_proxied ? c->address : STR_EMPTY,
		.client_port = c->is_proxied ? c->port : STR_EMPTY,
		.server_address = c->is_proxied ? c->server_address : STR_EMPTY,
		.server_port = c->is_proxied ? c->server_port : STR_EMPTY,
		.is_screened = c->is_proxied,
	};
	struct err err;
	bool ok;

	s->n_passing++;
	ok = daemon_pass(s->daemon, s->service, stream_fd(c->stream), &passed, PASS_MS,
			 &err);
	s->n_passing--;
	if (ok)
		return;
	log_warning(s->log, "cannot pass connection to service %s: %s", s->service,
		    err.text);
	client_drop(c, STR("421 4.3.2 No system resources"));
}

/* All tests that there were are passed. */
static bool
passed_all(const struct client *c)
{
	return c->failed == 0 && c->passed != 0 && c->passed == c->todo;
}

static void
conclude(struct client *c)
{
	if (passed_all(c))
		log_client(c, c->is_new ? "PASS NEW" : "PASS OLD");
	if (c->failed == 0 && c->passed != 0)
		keep_result(c);
	if (!c->keeps_out && !c->gone) {
		hand_over(c);
		if (!c->dropped)
			return;
	}
	if (!c->gone) {
		stream_set_deadline_ms(
			c->stream,
			loop_deadline_ms(c->screen->daemon->loop, LAST_REPLY_MS));
		IGNORE(stream_printf(c->stream, PRI_STR "\r\n",
				     STR_ARG(c->final_reply)) == STREAM_OK);
		IGNORE(stream_flush(c->stream) == STREAM_OK);
	}
	log_client_disconnect(c);
}

/* ---- the beginning ---- */

/* False: refused, with c->final_reply. */
static bool
check_limits(struct client *c, size_t same)
{
	const struct screen *s = c->screen;
	int per_client = c->config->postscreen_client_connection_count_limit;

	if (per_client > 0 && same > (size_t)per_client) {
		log_refused_connect(c, "too many connections");
		client_drop(c, STR("421 4.7.0 Error: too many connections"));
		return false;
	}
	if (s->n_checking > (size_t)s->config.postscreen_pre_queue_limit) {
		log_info(s->log,
			 "reject: connect from [" PRI_STR "]:" PRI_STR
			 ": all screening ports busy",
			 STR_ARG(c->address), STR_ARG(c->port));
		client_drop(c, STR("421 4.3.2 All screening ports are busy"));
		return false;
	}
	return true;
}

static const char *
list_word(const struct screen *s, bool allowed)
{
	if (s->config.respectful_logging)
		return allowed ? "ALLOWLISTED" : "DENYLISTED";
	return allowed ? "WHITELISTED" : "BLACKLISTED";
}

/* True: the permanent list has decided. */
static bool
check_permanent(struct client *c)
{
	struct screen *s = c->screen;

	switch (settings_access(s, c->now, c->address)) {
	case ACCESS_WORD_PERMIT:
		log_client(c, list_word(s, true));
		return true;
	case ACCESS_WORD_REJECT:
		log_client(c, list_word(s, false));
		return !client_fail(c, FAILED_DENIED, s->deny_action,
				    STR("521 5.3.2 Service currently unavailable"),
				    STR("550 5.3.2 Service currently unavailable"));
	case ACCESS_WORD_DUNNO:
		break;
	}
	return false;
}

static void
check_interface(struct client *c)
{
	const struct screen *s = c->screen;
	struct err err;

	if (match_find_host(s->allow_interfaces, STR("unknown"), c->server_address, NULL,
			    &err) == MATCH_YES)
		return;
	log_client(c, s->config.respectful_logging ? "ALLOWLIST VETO" : "WHITELIST VETO");
	c->failed |= FAILED_VETO;
	c->keeps_out = true;
}

static bool
server_is_busy(struct client *c)
{
	const struct screen *s = c->screen;

	if (s->n_passing < (size_t)s->config.postscreen_post_queue_limit)
		return false;
	log_refused_connect(c, "all server ports busy");
	client_drop(c, STR("421 4.3.2 All server ports are busy"));
	return true;
}

static void
look_up(struct client *c)
{
	const struct screen *s = c->screen;

	c->is_new = s->cache == NULL || !cache_find(s->cache, c->address, &c->stamps);
	c->todo = stamps_todo(&c->stamps, s->enabled, screen_now());
}

static void
screen_client(struct client *c, size_t same)
{
	if (!check_limits(c, same) || check_permanent(c))
		return;
	look_up(c);
	if (c->todo == 0 && c->failed == 0 && !c->is_new) {
		log_client(c, "PASS OLD");
		return;
	}
	check_interface(c);
	if (server_is_busy(c))
		return;
	if ((c->todo & TESTS_EARLY) != 0) {
		early_run(c);
		if (c->dropped || c->gone)
			return;
	}
	/* Early tests may have made the deep ones unnecessary. */
	if (!c->keeps_out && (c->todo & TESTS_DEEP & ~c->passed) == 0)
		return;
	c->since_us = sys_now_us();
	dummy_run(c);
}

static void
serve(struct client *c)
{
	struct screen *s = c->screen;
	size_t same = count_begin(c);

	s->n_checking++;
	note_stress(s);
	c->config = s->is_stressed ? &s->stress : &s->config;
	screen_client(c, same);
	s->n_checking--;
	note_stress(s);
	conclude(c);
	count_end(c);
}

void
client_serve(struct daemon *d, struct stream *stream)
{
	struct screen *s = d->state;
	struct client c = {
		.screen = s,
		.config = &s->config,
		.mem = arena_new(),
		.stream = stream,
		.since_us = sys_now_us(),
		.final_reply = STR("421 4.3.2 Service currently unavailable"),
		.rcpt_reply = STR("450 4.3.2 Service currently unavailable"),
		.where = "CONNECT",
		.helo = STR_EMPTY,
		.sender = STR_EMPTY,
	};

	c.now = arena_new_child(c.mem);
	if (find_addresses(&c) && (!s->has_proxy || read_proxy_header(&c))) {
		log_client_connect(&c);
		serve(&c);
	}
	arena_free(&c.mem);
}
