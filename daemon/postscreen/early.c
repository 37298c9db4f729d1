/* SPDX-License-Identifier: Apache-2.0 */
#include "early.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/sys.h"

#include "fiber/stream.h"
#include "table/maps.h"

#include "log.h"
#include "poll.h"
#include "postscreen.h"

enum { MS = 1000, PEEK_MAX = 1023 };

static const char phase[] = "tests before SMTP handshake";

struct early {
	struct client *client;
	struct event changed;
	struct watch input;
	bool has_input; /* something to look at */
	bool looked;
	struct poll *poll; /* NULL: lists are not asked */
};

static bool
is_todo(const struct client *c, enum screen_test test)
{
	return (c->todo & 1u << test) != 0;
}

/* ---- talking too early ---- */

static void
on_input(struct watch *w, unsigned ready UNUSED, void *arg)
{
	struct early *e = arg;

	watch_stop(w);
	e->has_input = true;
	event_signal_all(&e->changed);
}

/* False: the client is out. */
static bool
look_at_input(struct early *e)
{
	struct client *c = e->client;
	char *bytes = arena_alloc(c->mem, PEEK_MAX);
	ssize_t n =
		sys_recv(stream_fd(c->stream), bytes, PEEK_MAX, MSG_PEEK | MSG_DONTWAIT);

	e->has_input = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		watch_start(&e->input);
		return true;
	}
	if (n <= 0) {
		client_hangup(c, phase);
		return false;
	}
	e->looked = true;
	if (!is_todo(c, TEST_PREGREET))
		return true;
	log_pregreet(c, (size_t)n, str_from_mem(bytes, (size_t)n));
	return client_fail(c, 1u << TEST_PREGREET, c->screen->action[TEST_PREGREET],
			   STR("521 5.5.1 Protocol error"),
			   STR("550 5.5.1 Protocol error"));
}

/* ---- DNS lists ---- */

static int64_t
dnsbl_until(const struct client *c, const struct poll_result *r)
{
	int64_t min = c->config->postscreen_dnsbl_min_ttl;
	int64_t max = c->config->postscreen_dnsbl_max_ttl;
	int64_t ttl = r->ttl_s < 0 || r->ttl_s > max ? max : r->ttl_s;

	return screen_now() + (ttl < min ? min : ttl);
}

static struct str
shown_name(const struct client *c, struct str domain)
{
	struct maps_hit hit;
	struct err err;

	if (maps_count(c->screen->dnsbl_names) == 0)
		return domain;
	switch (maps_find(c->screen->dnsbl_names, c->mem, domain, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		return hit.value;
	case LOOKUP_FAILED:
		log_warning(c->screen->log, "%s", err.text);
		break;
	case LOOKUP_ABSENT:
		break;
	}
	return domain;
}

static struct str
blocked(const struct client *c, const char *code, struct str name)
{
	return str_printf(c->mem,
			  "%s 5.7.1 Service unavailable; client [" PRI_STR
			  "] blocked using " PRI_STR,
			  code, STR_ARG(c->address), STR_ARG(name));
}

static bool
is_welcome(const struct early *e)
{
	int threshold = e->client->config->postscreen_dnsbl_allowlist_threshold;

	return e->poll != NULL && threshold < 0 && poll_look(e->poll)->score <= threshold;
}

/* Known as good: everything else counts as done. */
static void
skip_all(struct early *e)
{
	int64_t until = dnsbl_until(e->client, poll_look(e->poll));

	for (unsigned t = 0; t < TESTS; t++) {
		if (e->client->stamps.until[t] >= until)
			continue;
		e->client->todo |= 1u << t;
		client_pass(e->client, t, until);
	}
}

static void
judge_lists(struct early *e)
{
	struct client *c = e->client;
	const struct poll_result *r = poll_look(e->poll);
	struct str name;

	if (r->score < c->config->postscreen_dnsbl_threshold) {
		client_pass(c, TEST_DNSBL, dnsbl_until(c, r));
		return;
	}
	log_dnsbl(c, r->score);
	name = shown_name(c, r->domain);
	/* What came of it is in *c. */
	IGNORE(client_fail(c, 1u << TEST_DNSBL, c->screen->action[TEST_DNSBL],
			   blocked(c, "521", name), blocked(c, "550", name)));
}

/* ---- waiting ---- */

static bool
is_done(const struct early *e)
{
	const struct client *c = e->client;
	bool waits = is_todo(c, TEST_PREGREET) &&
		     ((c->failed | c->settled) & 1u << TEST_PREGREET) == 0;
	bool asks = e->poll != NULL && poll_look(e->poll)->pending > 0;

	return !waits && !asks;
}

static bool
wait_for_tests(struct early *e)
{
	struct client *c = e->client;
	int64_t deadline = loop_deadline_ms(c->screen->daemon->loop,
					    c->config->postscreen_greet_wait * MS);

	while (!is_done(e)) {
		if (e->poll != NULL && poll_look(e->poll)->pending == 0 && is_welcome(e))
			return true;
		switch (event_wait(&e->changed, deadline)) {
		case FIBER_WOKEN:
			break;
		case FIBER_TIMEOUT:
			return true;
		case FIBER_CANCELLED:
			c->gone = true;
			return false;
		}
		if (e->has_input && !look_at_input(e))
			return false;
	}
	return true;
}

static bool
say_teaser(struct client *c)
{
	struct str banner = c->config->postscreen_greet_banner;

	return !is_todo(c, TEST_PREGREET) ||
	       (stream_printf(c->stream, "220-" PRI_STR "\r\n", STR_ARG(banner)) ==
			STREAM_OK &&
		stream_flush(c->stream) == STREAM_OK);
}

void
early_run(struct client *c)
{
	struct loop *loop = c->screen->daemon->loop;
	struct early e = {.client = c};

	if (!say_teaser(c)) {
		client_hangup(c, phase);
		return;
	}
	event_init(&e.changed, loop);
	watch_init(&e.input, loop, stream_fd(c->stream), WATCH_READ, on_input, &e);
	watch_start(&e.input);
	if (is_todo(c, TEST_DNSBL))
		e.poll = poll_start(c->screen, c->address, &e.changed);
	if (wait_for_tests(&e)) {
		if (is_todo(c, TEST_PREGREET) && !e.looked)
			client_pass(c, TEST_PREGREET,
				    screen_now() + c->screen->ttl[TEST_PREGREET]);
		if (e.poll != NULL)
			judge_lists(&e);
		if (is_welcome(&e) && c->failed == 0)
			skip_all(&e);
	}
	watch_stop(&e.input);
	poll_leave(&e.poll);
}
