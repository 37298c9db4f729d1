/* SPDX-License-Identifier: Apache-2.0 */
#include "poll.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "dns/dns.h"
#include "dns/reverse.h"
#include "fiber/event.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/message.h"

#include "postscreen.h"

enum { MS = 1000 };

struct poll {
	struct screen *screen;
	struct arena *mem;
	struct str address;
	struct event *changed; /* NULL: nobody cares any more */
	struct poll_result result;
	int top; /* weight of result.domain */
};

struct question {
	struct poll *poll;
	size_t domain;
};

static void
forget(struct poll *p)
{
	struct arena *mem = p->mem;

	if (p->changed == NULL && p->result.pending == 0)
		arena_free(&mem);
}

static bool
ask(struct poll *p, struct arena *mem, struct str name, struct dns_answer *out,
    struct err *err)
{
	int64_t ms = p->screen->config.postscreen_dnsbl_timeout * MS;
	struct stream *s;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(p->screen->daemon, "private/resolver", (int)ms, &s, err))
		return false;
	stream_set_timeout_ms(s, ms);
	ipc_init(&ipc, s);
	ok = dns_exchange(&ipc, mem, name, DNS_TYPE_A, false, out, err);
	stream_close(&s);
	return ok;
}

static void
tell(const struct poll *p, struct str domain, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n_records; i++)
		if (answer->records[i].type == DNS_TYPE_A)
			log_info(p->screen->dnsblog,
				 "addr " PRI_STR " listed by domain " PRI_STR
				 " as " PRI_STR,
				 STR_ARG(p->address), STR_ARG(domain),
				 STR_ARG(answer->records[i].text));
}

static void
count(struct poll *p, size_t domain, const struct dns_answer *answer)
{
	const struct dnsbl *d = &p->screen->dnsbl;
	int score = dnsbl_score(d, domain, answer);

	if (answer->result == DNS_FOUND)
		tell(p, d->domains[domain], answer);
	p->result.score += score;
	if (score > p->top) {
		p->top = score;
		p->result.domain = d->domains[domain];
	}
	for (size_t i = 0; i < answer->n_records; i++)
		if (p->result.ttl_s < 0 || answer->records[i].ttl < p->result.ttl_s)
			p->result.ttl_s = answer->records[i].ttl;
}

static void
ask_one(void *arg)
{
	struct question *q = arg;
	struct poll *p = q->poll;
	struct arena *mem = arena_new();
	struct str domain = p->screen->dnsbl.domains[q->domain];
	struct dns_answer answer;
	struct str name;
	struct err err;

	if (dns_reverse_name(mem, p->address, domain, &name)) {
		if (!ask(p, mem, name, &answer, &err))
			log_warning(p->screen->dnsblog,
				    "dnsblog_query: lookup error for DNS query " PRI_STR
				    ": %s",
				    STR_ARG(name), err.text);
		else if (answer.result == DNS_TRY_AGAIN || answer.result == DNS_FAIL ||
			 answer.result == DNS_MALFORMED)
			log_warning(p->screen->dnsblog,
				    "dnsblog_query: lookup error for DNS query " PRI_STR
				    ": Host or domain name not found. Name service error "
				    "for name=" PRI_STR " type=A: %s",
				    STR_ARG(name), STR_ARG(name),
				    dns_result_text(answer.result));
		else
			count(p, q->domain, &answer);
	}
	arena_free(&mem);
	p->result.pending--;
	if (p->changed != NULL)
		event_signal_all(p->changed);
	forget(p);
}

struct poll *
poll_start(struct screen *s, struct str address, struct event *changed)
{
	struct arena *mem = arena_new();
	struct poll *p = ARENA_NEW(mem, struct poll);

	*p = (struct poll){.screen = s,
			   .mem = mem,
			   .address = str_dup(mem, address),
			   .changed = changed,
			   .result = {.ttl_s = -1, .domain = STR_EMPTY}};
	for (size_t i = 0; i < s->dnsbl.n_domains; i++) {
		struct question *q = ARENA_NEW(mem, struct question);

		*q = (struct question){.poll = p, .domain = i};
		if (fiber_spawn(s->daemon->loop, "dnsbl", ask_one, q) != NULL)
			p->result.pending++;
	}
	return p;
}

const struct poll_result *
poll_look(const struct poll *p)
{
	return &p->result;
}

void
poll_leave(struct poll **p)
{
	if (*p == NULL)
		return;
	(*p)->changed = NULL;
	forget(*p);
	*p = NULL;
}
