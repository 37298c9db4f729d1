/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver: the one process that asks name servers, for all the others. A connection
 * carries questions and answers one after the other (ipc/messages.def); a client that
 * has several at once makes several connections.
 */
#include "base/arena.h"
#include "base/log.h"

#include "config/resolver_config.h"
#include "daemon/answerer.h"
#include "daemon/daemon.h"
#include "dns/dns.h"
#include "dns/servers.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/address.h"

#include "engine.h"
#include "native.h"

enum {
	MAX_QUESTIONS = 1000,
	NATIVE_THREADS = 8,
	WRITE_MS = 60000,     /* for a client to take its answer */
	LOOK_AGAIN_MS = 1000, /* at the file of name servers, at most that often */
	/* The library reads trust anchors into an array of 64 KiB on the stack. */
	STACK_BYTES = 512 * 1024,
};

struct resolver {
	struct resolver_config config;
	struct servers_source servers;
	int64_t looked_ms; /* when the file was looked at */
	struct engine *engine;
	struct offload *offload;
	struct answerer answerer;
};

/* The file of name servers may have changed since the last question. */
static void
refresh_servers(struct daemon *d)
{
	struct resolver *r = d->state;
	int64_t now = loop_now_ms(d->loop);

	if (now - r->looked_ms < LOOK_AGAIN_MS)
		return;
	r->looked_ms = now;
	if (!servers_refresh(&r->servers))
		return;
	log_info(d->log, "%s has changed: asking %s%s", r->servers.file,
		 r->servers.now.list[0], r->servers.now.n > 1 ? " and others" : "");
	engine_set_servers(r->engine, &r->servers.now);
}

static void
ask(struct daemon *d, struct arena *mem, const struct msg_dns_question *question,
    struct dns_answer *answer_out)
{
	struct resolver *r = d->state;
	struct err err;

	*answer_out = (struct dns_answer){.result = DNS_NXDOMAIN};
	if (!hostname_check(question->name, false, &err)) {
		answer_out->why = STR("invalid host or domain name");
		return;
	}
	if (!dns_type_is_known(question->type)) {
		answer_out->result = DNS_FAIL;
		answer_out->why = STR("unknown record type");
		return;
	}
	refresh_servers(d);
	if (question->flags != 0)
		native_ask(r->offload, mem, question->name, (enum dns_type)question->type,
			   answer_out);
	else
		engine_ask(r->engine, mem, question->name, (enum dns_type)question->type,
			   answer_out);
}

static bool
send_answer(struct ipc *ipc, const struct dns_answer *answer, struct err *err)
{
	const struct msg_dns_answer head = {.result = answer->result,
					    .authenticated = answer->authenticated,
					    .canonical = answer->canonical,
					    .why = answer->why,
					    .record_count = (int64_t)answer->n_records};

	if (!ipc_send(ipc, &ipc_dns_answer, &head, err))
		return false;
	for (size_t i = 0; i < answer->n_records; i++) {
		const struct dns_record *record = &answer->records[i];
		const struct msg_dns_record m = {.type = record->type,
						 .ttl = record->ttl,
						 .preference = record->preference,
						 .weight = record->weight,
						 .port = record->port,
						 .text = record->text};

		if (!ipc_send(ipc, &ipc_dns_record, &m, err))
			return false;
	}
	return true;
}

static bool
answer_question(struct daemon *d, struct arena *mem, void *question, struct ipc *ipc,
		struct err *err)
{
	struct dns_answer answer;

	ask(d, mem, question, &answer);
	return send_answer(ipc, &answer, err);
}

static void
session(struct daemon *d, struct stream *client)
{
	struct resolver *r = d->state;

	answerer_session(&r->answerer, client);
}

static bool
init(struct daemon *d, struct err *err)
{
	struct resolver *r = ARENA_NEW(d->mem, struct resolver);
	const char **tables = arena_alloc_array(d->mem, 2, sizeof(*tables));

	if (!resolver_config_load(d->mem, d->config, &r->config, err) ||
	    !servers_open(d->mem, r->config.resolver_nameservers, &r->servers, err))
		return false;
	if (r->servers.file != NULL) {
		tables[0] = r->servers.file;
		d->tables = tables;
	}
	r->answerer = (struct answerer){.daemon = d,
					.question = &ipc_dns_question,
					.write_ms = WRITE_MS,
					.answer = answer_question};
	answerer_init(&r->answerer);
	loop_set_stack_bytes(d->loop, STACK_BYTES);
	d->state = r;
	return true;
}

/* Threads are started here and not in init(): they must be in the sandbox. */
static void
start(struct daemon *d)
{
	struct resolver *r = d->state;
	struct str anchor = r->config.resolver_trust_anchor_file;
	const struct engine_settings settings = {
		.trust_anchor_file = anchor.len > 0 ? str_c(d->mem, anchor) : NULL,
		.cache_bytes = r->config.resolver_cache_size,
		.timeout_ms = r->config.resolver_timeout * 1000,
		.max_questions = MAX_QUESTIONS,
	};

	r->offload = offload_new(d->loop, NATIVE_THREADS);
	r->engine = engine_new(d->loop, d->log, &settings, &r->servers.now);
}

static void
drain(struct daemon *d)
{
	struct resolver *r = d->state;

	if (r->engine != NULL)
		engine_drain(r->engine);
	answerer_drain(&r->answerer);
}

static void
release(struct daemon *d)
{
	struct resolver *r = d->state;

	engine_free(&r->engine);
	offload_free(&r->offload);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "resolver",
		.profile = SANDBOX_resolver,
		.init = init,
		.start = start,
		.session = session,
		.drain = drain,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
