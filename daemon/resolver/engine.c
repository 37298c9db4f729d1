/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unbound.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/panic.h"

#include "fiber/event.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"

#include "dns/rdata.h"

enum {
	CLASS_IN = 1,
	TYPE_DNSKEY = 48,
	RCODE_NOERROR = 0,
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	PROBE_MS = 15000,       /* for the question whether the servers know DNSSEC */
	PROBE_AGAIN_MS = 60000, /* when they gave no answer at all */
};

/* One libunbound context, counted by the questions that use it. */
struct context {
	struct ub_ctx *ub;
	struct watch watch;
	size_t n_users;
	bool retired; /* free it when the last user leaves */
};

struct engine {
	struct loop *loop;
	struct log *log;
	struct engine_settings settings;
	struct servers servers;
	struct context *plain;
	struct context *validating; /* NULL: none, or not proved to work yet */
	struct gate gate;
	struct fiber *prober;
	unsigned generation; /* of the servers */
	bool draining;
};

/* One question; lives on the asking fiber's stack. */
struct question {
	struct event changed;
	struct ub_result *result;
	int error;
	bool done;
};

/* ---- contexts ---- */

struct option {
	const char *name;
	const char *value;
};

/* Servers on loopback are usual. One that was away is asked again soon: the library's own
 * 15 minutes are for the servers of the whole internet. And a server that looks names up
 * for us takes its time for those that it does not know. */
static const struct option common_options[] = {
	{"do-not-query-localhost:", "no"},
	{"infra-host-ttl:", "20"},
	{"infra-keep-probing:", "yes"},
	{"infra-cache-min-rtt:", "1000"},
	{"unblock-lan-zones:", "yes"},
	{"insecure-lan-zones:", "yes"},
	{"qname-minimisation:", "no"},
	{"cache-max-negative-ttl:", "300"},
	/* smtp_randomize_addresses = no means the name server's order. */
	{"rrset-roundrobin:", "no"},
	{"use-syslog:", "no"},
	{"verbosity:", "0"},
};

/* Names that local networks use and the root zone denies: such a proof is no reason to
 * refuse what the local server says. */
static const char *const private_domains[] = {
	"corp",  "home", "home.arpa", "internal",    "intranet", "lan",
	"local", "mail", "private",   "localdomain", "test",
};

/* Names that the library answers by itself, which is for whoever runs the name server to
 * decide. (localhost stays its own.) */
static const char *const built_in_zones[] = {"test.", "invalid.", "home.arpa."};

static void
set_cache(struct ub_ctx *ub, int64_t bytes)
{
	char text[32];

	/* Two caches; the library recommends twice as much for record sets. */
	snprintf(text, sizeof(text), "%" PRId64, bytes / 3);
	ub_ctx_set_option(ub, "msg-cache-size:", text);
	snprintf(text, sizeof(text), "%" PRId64, bytes / 3 * 2);
	ub_ctx_set_option(ub, "rrset-cache-size:", text);
}

static void
process(struct watch *w UNUSED, unsigned ready UNUSED, void *arg)
{
	struct context *c = arg;

	/* An error means that the library's thread is gone; its questions run into their
	 * time limit. */
	if (ub_process(c->ub) != 0)
		watch_stop(&c->watch);
}

/* anchor: NULL for the plain context. NULL with a text if the library refuses. */
static struct context *
context_new(struct engine *e, const char *anchor, struct err *err)
{
	struct context *c = mem_alloc(sizeof(*c));
	struct ub_ctx *ub = c->ub = ub_ctx_create();
	int rc = 0;

	ensure(ub != NULL);
	ub_ctx_debugout(ub, NULL);
	ub_ctx_async(ub, 1);
	for (size_t i = 0; i < ARRAY_LEN(common_options); i++)
		ub_ctx_set_option(ub, common_options[i].name, common_options[i].value);
	set_cache(ub, e->settings.cache_bytes);
	ub_ctx_set_option(ub,
			  "module-config:", anchor ? "validator iterator" : "iterator");
	for (size_t i = 0; anchor != NULL && i < ARRAY_LEN(private_domains); i++)
		ub_ctx_set_option(ub, "domain-insecure:", private_domains[i]);
	for (size_t i = 0; rc == 0 && i < e->servers.n; i++)
		rc = ub_ctx_set_fwd(ub, e->servers.list[i]);
	if (rc == 0 && anchor != NULL)
		rc = ub_ctx_add_ta_file(ub, anchor);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(built_in_zones); i++)
		rc = ub_ctx_zone_remove(ub, built_in_zones[i]);
	if (rc != 0) {
		err_set(err, ERR_CONFIG, "%s", ub_strerror(rc));
		ub_ctx_delete(ub);
		mem_free(c);
		return NULL;
	}
	watch_init(&c->watch, e->loop, ub_fd(ub), WATCH_READ, process, c);
	return c;
}

static void
context_free(struct context *c)
{
	watch_stop(&c->watch);
	ub_ctx_delete(c->ub);
	mem_free(c);
}

static void
context_leave(struct context *c)
{
	c->n_users--;
	if (c->n_users > 0)
		return;
	/* Without users it must not keep the loop running. */
	watch_stop(&c->watch);
	if (c->retired)
		context_free(c);
}

static void
context_retire(struct context **c)
{
	if (*c != NULL) {
		(*c)->retired = true;
		(*c)->n_users++;
		context_leave(*c);
	}
	*c = NULL;
}

/* ---- one question ---- */

static void
answered(void *arg, int error, struct ub_result *result)
{
	struct question *q = arg;

	q->done = true;
	q->error = error;
	q->result = result;
	event_signal_all(&q->changed);
}

/* The library starts its thread with the first question; signals are not for it. */
static int
start(struct context *c, const char *name, int type, struct question *q, int *id_out)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = ub_resolve_async(c->ub, name, type, CLASS_IN, q, answered, id_out);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* True when there is a result in q, which the caller frees with ub_resolve_free(). */
static bool
resolve(struct engine *e, struct context *c, const char *name, int type,
	int64_t deadline_ms, struct question *q, struct str *why_out)
{
	enum fiber_wake wake = FIBER_WOKEN;
	int id;
	int rc;

	*q = (struct question){.done = false};
	event_init(&q->changed, e->loop);
	c->n_users++;
	watch_start(&c->watch);
	rc = start(c, name, type, q, &id);
	while (rc == 0 && !q->done && wake == FIBER_WOKEN)
		wake = event_wait(&q->changed, deadline_ms);
	if (rc == 0 && !q->done)
		ub_cancel(c->ub, id);
	context_leave(c);
	if (rc != 0 || q->error != 0)
		*why_out = str_from(ub_strerror(rc != 0 ? rc : q->error));
	else if (!q->done)
		*why_out = wake == FIBER_TIMEOUT ? STR("no answer from the name servers")
						 : STR("the resolver is stopping");
	if (q->done && q->error != 0)
		ub_resolve_free(q->result);
	return rc == 0 && q->done && q->error == 0;
}

static void
take_data(struct arena *mem, enum dns_type type, const struct ub_result *r,
	  struct dns_answer *answer)
{
	struct str data[DNS_RECORDS_MAX];
	size_t n = 0;
	struct str canonical;

	for (; n < DNS_RECORDS_MAX && r->data[n] != NULL; n++)
		data[n] = str_from_mem(r->data[n], (size_t)r->len[n]);
	dns_answer_parse(mem, type, data, n, r->ttl, answer);
	canonical = str_from(r->canonname);
	if (str_ends(canonical, STR(".")))
		canonical = str_head(canonical, canonical.len - 1);
	if (canonical.len <= DNS_NAME_MAX)
		answer->canonical = str_dup(mem, canonical);
}

static void
to_answer(struct arena *mem, enum dns_type type, const struct ub_result *r,
	  struct dns_answer *answer)
{
	*answer = (struct dns_answer){.result = DNS_FAIL};
	if (r->bogus) {
		answer->result = DNS_TRY_AGAIN;
		answer->why = str_printf(mem, "DNSSEC: %.300s",
					 r->why_bogus ? r->why_bogus : "wrong signature");
		return;
	}
	if (r->havedata)
		take_data(mem, type, r, answer);
	else if (r->rcode == RCODE_NXDOMAIN)
		answer->result = DNS_NXDOMAIN;
	else if (r->rcode == RCODE_NOERROR)
		answer->result = DNS_NODATA;
	else if (r->rcode == RCODE_SERVFAIL)
		answer->result = DNS_TRY_AGAIN;
	else
		answer->why = str_printf(mem, "name server answers code %d", r->rcode);
	answer->authenticated = r->secure != 0;
}

void
engine_ask(struct engine *e, struct arena *mem, struct str name, enum dns_type type,
	   struct dns_answer *answer_out)
{
	int64_t deadline_ms = loop_deadline_ms(e->loop, e->settings.timeout_ms);
	struct dns_answer answer = {.result = DNS_TRY_AGAIN};
	struct question q;
	struct str why;

	if (gate_enter(&e->gate, deadline_ms) != FIBER_WOKEN) {
		answer.why = STR("too many questions at once");
		*answer_out = answer;
		return;
	}
	if (resolve(e, e->validating != NULL ? e->validating : e->plain, str_c(mem, name),
		    (int)type, deadline_ms, &q, &why)) {
		to_answer(mem, type, q.result, &answer);
		ub_resolve_free(q.result);
	} else {
		answer.why = str_dup(mem, why);
	}
	gate_leave(&e->gate);
	*answer_out = answer;
}

/* ---- DNSSEC ---- */

enum probe_result { PROBE_WORKS, PROBE_NOT, PROBE_SILENCE };

static enum probe_result
probe_once(struct engine *e, struct context *c)
{
	enum probe_result result = PROBE_SILENCE;
	struct question q;
	struct str why;

	if (!resolve(e, c, ".", TYPE_DNSKEY, loop_deadline_ms(e->loop, PROBE_MS), &q,
		     &why))
		return PROBE_SILENCE;
	if (q.result->secure && q.result->havedata)
		result = PROBE_WORKS;
	else if (q.result->bogus || q.result->rcode != RCODE_SERVFAIL)
		result = PROBE_NOT;
	ub_resolve_free(q.result);
	return result;
}

/* Find out whether the validating context can be used with the present servers. */
static void
probe_servers(struct engine *e, struct context *c)
{
	unsigned generation = e->generation;
	enum probe_result result = PROBE_SILENCE;

	while (!e->draining && generation == e->generation) {
		result = probe_once(e, c);
		if (result != PROBE_SILENCE || !fiber_sleep(e->loop, PROBE_AGAIN_MS))
			break;
	}
	if (e->draining || generation != e->generation || result != PROBE_WORKS) {
		if (result == PROBE_NOT)
			log_info(e->log, "the name servers do not pass DNSSEC on: "
					 "answers are not validated");
		context_retire(&c);
		return;
	}
	log_info(e->log, "DNSSEC validation is on");
	e->validating = c;
}

static void
probe(void *arg)
{
	struct engine *e = arg;
	unsigned generation;

	/* Once more if the servers changed meanwhile. */
	do {
		struct context *c;
		struct err err;

		generation = e->generation;
		c = context_new(e, e->settings.trust_anchor_file, &err);
		if (c == NULL)
			log_warning(e->log, "DNSSEC validation is off: %s: %s",
				    e->settings.trust_anchor_file, err.text);
		else
			probe_servers(e, c);
	} while (generation != e->generation && !e->draining);
	e->prober = NULL;
}

static void
start_probe(struct engine *e)
{
	const char *anchor = e->settings.trust_anchor_file;

	if (anchor == NULL || access(anchor, R_OK) != 0 || e->draining)
		return;
	if (e->prober != NULL)
		return; /* it sees the new generation */
	e->prober = fiber_spawn(e->loop, "DNSSEC probe", probe, e);
}

/* ---- the whole ---- */

/* Contexts for the present servers; the old plain one stays if that fails. */
static void
make_contexts(struct engine *e)
{
	struct err err;
	struct context *plain = context_new(e, NULL, &err);

	e->generation++;
	if (plain == NULL) {
		log_warning(e->log, "name servers: %s", err.text);
		return;
	}
	context_retire(&e->plain);
	context_retire(&e->validating);
	e->plain = plain;
	start_probe(e);
}

struct engine *
engine_new(struct loop *loop, struct log *log, const struct engine_settings *settings,
	   const struct servers *servers)
{
	struct engine *e = mem_alloc(sizeof(*e));

	e->loop = loop;
	e->log = log;
	e->settings = *settings;
	e->servers = *servers;
	gate_init(&e->gate, loop, settings->max_questions);
	make_contexts(e);
	return e;
}

void
engine_free(struct engine **engine)
{
	struct engine *e = *engine;

	if (e == NULL)
		return;
	context_retire(&e->plain);
	context_retire(&e->validating);
	mem_free(e);
	*engine = NULL;
}

void
engine_set_servers(struct engine *e, const struct servers *servers)
{
	e->servers = *servers;
	make_contexts(e);
}

void
engine_drain(struct engine *e)
{
	e->draining = true;
	if (e->prober != NULL)
		fiber_cancel(e->prober);
}
