/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing entries to delivery agents. A connection to an agent carries one request at a
 * time and is kept for the next; a fiber follows the request to its end and records each
 * recipient's result as it comes.
 */
#include <inttypes.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/dsn_request.h"
#include "mail/verp.h"

#include "log.h"
#include "notify.h"
#include "qmgr.h"
#include "recipients.h"

/* An idle connection occupies one of the agent's sessions, and another client may want it
 * (the smtp agent that passes mail on). */
enum { IDLE_MAX = 50, IDLE_MS = 3000, SWEEP_MS = 1000 };

/* Values of the trace_flags attribute: sendmail -bv, sendmail -v. */
enum { TRACE_VERIFY = 512, TRACE_RECORD = 1024 };

struct agent {
	struct list link;
	struct stream *stream;
	struct ipc ipc;
	uint64_t generation;
	int64_t idle_since_ms;
};

struct agent_pool {
	struct list idle; /* that which has waited longest first */
	size_t n_idle;
};

/* One entry on its way. */
struct delivery {
	struct qmgr *q;
	struct sched_transport *transport;
	struct sched_entry *entry;
	struct message *m;
	struct arena *mem;
	struct agent *agent;
	struct str nexthop;
	int64_t answered;
	bool request_sent;
};

/* ---- agents ---- */

static struct agent_pool *
pool_get(struct qmgr *q, struct str transport)
{
	struct agent_pool *p = map_find(q->agents, transport);

	if (p != NULL)
		return p;
	p = mem_alloc(sizeof(*p));
	list_init(&p->idle);
	map_set(q->agents, transport, p);
	return p;
}

static void
agent_free(struct agent *a)
{
	stream_close(&a->stream);
	mem_free(a);
}

static struct agent *
agent_take_idle(struct qmgr *q, struct str transport)
{
	struct agent_pool *p = pool_get(q, transport);

	while (!list_is_empty(&p->idle)) {
		struct agent *a = CONTAINER_OF(p->idle.prev, struct agent, link);

		list_remove(&a->link);
		p->n_idle--;
		/* A word that nobody asked for, or the end: its process is going. */
		if (a->generation == q->generation && !stream_has_input(a->stream))
			return a;
		agent_free(a);
	}
	return NULL;
}

static void
agent_give_back(struct qmgr *q, struct str transport, struct agent *a)
{
	struct agent_pool *p = pool_get(q, transport);

	if (p->n_idle >= IDLE_MAX || a->generation != q->generation ||
	    q->daemon->draining) {
		agent_free(a);
		return;
	}
	a->idle_since_ms = loop_now_ms(q->daemon->loop);
	list_append(&p->idle, &a->link);
	p->n_idle++;
}

/* Close what has been idle for a while. Returns when to look again. */
static int64_t
sweep_agents(struct qmgr *q)
{
	int64_t now_ms = loop_now_ms(q->daemon->loop);
	const struct map_entry *e;
	bool some_left = false;
	size_t at = 0;

	while ((e = map_next(q->agents, &at)) != NULL) {
		struct agent_pool *p = e->value;
		struct list *first;

		while ((first = list_first(&p->idle)) != NULL) {
			struct agent *a = CONTAINER_OF(first, struct agent, link);

			if (now_ms - a->idle_since_ms < IDLE_MS)
				break;
			list_remove(first);
			p->n_idle--;
			agent_free(a);
		}
		some_left = some_left || first != NULL;
	}
	return some_left ? now_ms + SWEEP_MS : INT64_MAX;
}

void
deliver_forget_agents(struct qmgr *q)
{
	const struct map_entry *e;
	size_t at = 0;

	while ((e = map_next(q->agents, &at)) != NULL) {
		struct agent_pool *p = e->value;

		while (!list_is_empty(&p->idle)) {
			struct list *first = list_first(&p->idle);

			list_remove(first);
			agent_free(CONTAINER_OF(first, struct agent, link));
		}
		p->n_idle = 0;
	}
}

static struct agent *
agent_connect(struct delivery *x, struct err *err)
{
	struct str path =
		str_printf(x->mem, "private/" PRI_STR, STR_ARG(x->transport->name));
	struct agent *a;
	struct stream *s;

	if (!daemon_connect(x->q->daemon, path.p,
			    (int)x->q->config.qmgr_ipc_timeout * 1000, &s, err))
		return NULL;
	a = mem_alloc(sizeof(*a));
	list_init(&a->link);
	a->stream = s;
	a->generation = x->q->generation;
	ipc_init(&a->ipc, s);
	return a;
}

/* ---- the request ---- */

static unsigned
request_flags(const struct delivery *x)
{
	unsigned flags = 0;

	if (x->entry->conn_load)
		flags |= DELIVER_CONN_LOAD;
	if (x->entry->conn_store)
		flags |= DELIVER_CONN_STORE;
	/* sendmail -v and -bv (facts: queue 2.1, trace_flags). */
	if ((x->m->file.trace_flags & TRACE_VERIFY) != 0)
		flags |= DELIVER_VERIFY;
	if ((x->m->file.trace_flags & TRACE_RECORD) != 0)
		flags |= DELIVER_SUCCESS;
	if (message_is_probe(x->m))
		flags |= DELIVER_VERIFY | DELIVER_MTA_VERIFY;
	if (message_is_probe(x->m) && !x->q->verify.address_verify_negative_cache)
		flags |= DELIVER_NOT_CACHED;
	return flags;
}

/* With VERP the recipient's own; there is only one then. */
static struct str
sender_of(const struct delivery *x)
{
	const struct queue_file *f = &x->m->file;
	const struct sched_recipient *r = x->entry->recipients;
	struct str own;

	if (!message_has_verp(x->m))
		return f->sender;
	own = verp_sender(x->mem, f->verp, f->sender,
			  r->orig_address.len > 0 ? r->orig_address : r->address);
	return own.len <= QUEUE_ADDRESS_MAX ? own : f->sender;
}

/* What a damaged file may have beyond the limits of messages.def does not matter. */
static struct str
attribute(const struct queue_file *f, const char *name, size_t max)
{
	return str_head(queue_file_attribute(f, name), max);
}

static bool
send_request(struct delivery *x, struct err *err)
{
	const struct queue_file *f = &x->m->file;
	const struct msg_deliver_request request = {
		.queue_name = STR("active"),
		.queue_id = x->m->id,
		.message = x->m->fd,
		.flags = request_flags(x),
		.content_offset = f->content_offset,
		.content_size = f->content_size,
		.transport = x->transport->name,
		.nexthop = x->nexthop,
		.encoding = f->encoding.p == NULL ? STR_EMPTY : str_head(f->encoding, 20),
		.sendopts = f->sendopts & 65535,
		.sender = sender_of(x),
		.envelope_id = f->envelope_id.p == NULL ? STR_EMPTY
							: str_head(f->envelope_id, 400),
		.dsn_return = f->dsn_ret & 3,
		.arrival_us = f->arrival_us,
		.create_us = f->create_s * 1000000,
		.active_us = x->m->active_us,
		.client_name = attribute(f, "log_client_name", 255),
		.client_address = attribute(f, "log_client_address", 255),
		.client_port = attribute(f, "log_client_port", 20),
		.client_proto = attribute(f, "log_protocol_name", 255),
		.client_helo = attribute(f, "log_helo_name", 255),
		.sasl_method = attribute(f, "sasl_method", 100),
		.sasl_username = attribute(f, "sasl_username", 255),
		.sasl_sender = attribute(f, "sasl_sender", 255),
		.log_ident = attribute(f, "log_ident", 255),
		.rewrite_context = attribute(f, "rewrite_context", 20),
		.recipient_count = x->entry->count,
	};

	if (!ipc_send(&x->agent->ipc, &ipc_deliver_request, &request, err))
		return false;
	for (struct sched_recipient *r = x->entry->recipients; r != NULL; r = r->next) {
		const struct msg_deliver_recipient m = {.offset = r->offset,
							.address = r->address,
							.orig_address = r->orig_address,
							.dsn_orcpt = r->dsn_orcpt,
							.dsn_notify = r->dsn_notify};

		if (!ipc_send(&x->agent->ipc, &ipc_deliver_recipient, &m, err))
			return false;
	}
	return ipc_flush(&x->agent->ipc, err);
}

/* ---- results ---- */

static struct sched_recipient *
find_recipient(struct delivery *x, int64_t offset)
{
	struct sched_recipient *r = x->entry->recipients;

	while (r != NULL && r->offset != offset)
		r = r->next;
	return r;
}

static void
mark_done(struct delivery *x, struct sched_recipient *r)
{
	struct err err;

	if (!queue_file_mark_done(x->m->fd, r->offset, &err)) {
		/* It may get the message again: better than never. */
		log_error(x->q->daemon->log, PRI_STR ": %s", STR_ARG(x->m->id), err.text);
		x->m->deferred = true;
	}
}

/* For the report of sendmail -v and -bv, and for whoever asked to hear of success: unless
 * the next system does that. */
static bool
append_trace(struct delivery *x, struct sched_recipient *r,
	     const struct msg_deliver_result *result, struct err *err)
{
	bool asked = (x->m->file.trace_flags & (TRACE_VERIFY | TRACE_RECORD)) != 0;
	struct msg_deliver_result entry = *result;
	struct arena *mem;
	bool ok;

	if (!asked && (result->outcome != DELIVER_SENT || result->passed_on != 0 ||
		       (r->dsn_notify & DSN_NOTIFY_SUCCESS) == 0))
		return true;
	mem = arena_new();
	if (result->via.len > 0)
		entry.reason = str_printf(mem, "delivery via " PRI_STR ": " PRI_STR,
					  STR_ARG(result->via), STR_ARG(result->reason));
	ok = notify_append(x->m, "trace", r, &entry, err);
	arena_free(&mem);
	return ok;
}

static void
record_probe(struct delivery *x, struct sched_recipient *r,
	     const struct msg_deliver_result *result)
{
	struct err err;

	if (result->outcome != DELIVER_SENT &&
	    !x->q->verify.address_verify_negative_cache)
		return;
	if (!notify_verify(x->m, r, result, &err))
		log_warning(x->q->daemon->log, PRI_STR ": " PRI_STR " service: %s",
			    STR_ARG(x->m->id),
			    STR_ARG(x->q->verify.address_verify_service_name), err.text);
}

/* The order matters: what the report needs is on disk before the recipient counts as
 * done. */
static void
record_result(struct delivery *x, struct sched_recipient *r,
	      const struct msg_deliver_result *result)
{
	bool verify = (x->m->file.trace_flags & TRACE_VERIFY) != 0;
	const char *service = verify || result->outcome == DELIVER_SENT ? "trace"
			      : result->outcome == DELIVER_BOUNCED      ? "bounce"
									: "defer";
	struct err err;

	if (message_is_probe(x->m)) {
		record_probe(x, r, result);
		mark_done(x, r);
		return;
	}
	if (!append_trace(x, r, result, &err) ||
	    (!verify && result->outcome != DELIVER_SENT &&
	     !notify_append(x->m, service, r, result, &err))) {
		log_warning(x->q->daemon->log, PRI_STR ": %s service: %s",
			    STR_ARG(x->m->id), service, err.text);
		/* A bounce that cannot be recorded is tried again. */
		x->m->deferred = x->m->deferred || result->outcome != DELIVER_SENT;
		if (result->outcome == DELIVER_SENT)
			mark_done(x, r);
		return;
	}
	if (result->outcome == DELIVER_DEFERRED && !verify) {
		x->m->deferred = true;
		notify_flush_site(x->m, r->address);
	} else {
		mark_done(x, r);
	}
}

static enum sched_outcome
stranger(struct err *err)
{
	IGNORE(err_set(err, ERR_PERM, "answer for an unknown recipient"));
	return SCHED_AGENT;
}

static enum sched_outcome
receive_results(struct delivery *x, struct msg_deliver_done *done, struct err *err)
{
	static const struct ipc_message *const accepted[] = {&ipc_deliver_result,
							     &ipc_deliver_done, NULL};

	for (;;) {
		const struct ipc_message *which;
		struct sched_recipient *r;
		void *value;

		if (ipc_receive_any(&x->agent->ipc, x->mem, accepted, &which, &value,
				    err) != IPC_DONE)
			return SCHED_AGENT;
		if (which == &ipc_deliver_done) {
			*done = *(struct msg_deliver_done *)value;
			return done->site_dsn.len > 0 ? SCHED_SITE : SCHED_OK;
		}
		r = find_recipient(x, ((struct msg_deliver_result *)value)->offset);
		if (r == NULL)
			return stranger(err);
		x->answered++;
		/* Its own offset marks it as answered. */
		record_result(x, r, value);
		r->offset = -r->offset;
	}
}

/* Recipients without an answer: they wait, with the reason in mailq. */
static void
defer_unanswered(struct delivery *x, struct str dsn, struct str reason)
{
	for (struct sched_recipient *r = x->entry->recipients; r != NULL; r = r->next) {
		const struct msg_deliver_result result = {.outcome = DELIVER_DEFERRED,
							  .dsn = dsn,
							  .action = STR("delayed"),
							  .reason = reason,
							  .mta_type = STR_EMPTY,
							  .mta_name = STR_EMPTY,
							  .diag_type = STR_EMPTY,
							  .diag_text = STR_EMPTY};
		int64_t now_us = sys_now_us();

		if (r->offset < 0)
			continue;
		log_deferred(x->q->daemon->log, x->m->id, r->address, r->orig_address,
			     now_us - x->m->file.arrival_us,
			     x->m->active_us - x->m->file.arrival_us, dsn, reason);
		record_result(x, r, &result);
		x->m->deferred = true;
	}
}

/* ---- the fiber ---- */

static enum sched_outcome
talk(struct delivery *x, struct msg_deliver_done *done)
{
	enum sched_outcome outcome;
	struct err err = {0};

	x->agent = agent_take_idle(x->q, x->transport->name);
	if (x->agent == NULL)
		x->agent = agent_connect(x, &err);
	if (x->agent == NULL) {
		log_agent_failed(x->q->daemon->log, x->transport->name, &err);
		return SCHED_AGENT;
	}
	stream_set_timeout_ms(x->agent->stream, x->q->config.qmgr_ipc_timeout * 1000);
	outcome = SCHED_AGENT;
	if (!send_request(x, &err)) {
		/* It is the message's fault, and no reason to stop all others. */
		if (err.kind == ERR_PERM) {
			log_not_sendable(x->q->daemon->log, x->m->id, err.text);
			agent_free(x->agent);
			return SCHED_UNKNOWN;
		}
	} else {
		x->request_sent = true;
		/* The agent has limits of its own, for each step. */
		stream_set_timeout_ms(x->agent->stream,
				      x->q->config.qmgr_daemon_timeout * 1000);
		outcome = receive_results(x, done, &err);
	}
	if (outcome == SCHED_AGENT) {
		log_agent_lost(x->q->daemon->log, x->transport->name, err.text);
		agent_free(x->agent);
	} else if (done->closing != 0) {
		agent_free(x->agent);
	} else {
		agent_give_back(x->q, x->transport->name, x->agent);
	}
	return outcome;
}

static void
finish(struct delivery *x, enum sched_outcome outcome,
       const struct msg_deliver_done *done)
{
	struct sched_destination *d = x->entry->destination;
	struct str dsn = outcome == SCHED_AGENT ? STR("4.3.0") : done->site_dsn;
	struct str reason = outcome == SCHED_AGENT
				    ? x->answered == 0
					      ? STR("mail transport unavailable")
					      : STR("unknown mail transport error")
				    : done->site_reason;
	struct str unanswered = x->request_sent ? STR("no answer from the delivery agent")
						: STR("the message is damaged");
	struct sched_message *m;
	struct sched_recipient *list;
	struct sched_recipient *done_list = x->entry->recipients;
	bool retry = str_eq(x->transport->name, STR("retry"));
	bool dead;

	if (outcome == SCHED_AGENT)
		defer_unanswered(x, dsn, reason);
	else
		defer_unanswered(x, STR("4.3.0"), unanswered);
	dead = sched_done(&x->q->sched, x->entry, outcome, dsn, reason,
			  loop_now_ms(x->q->daemon->loop));
	recipients_done(x->m, x->transport, done_list);
	if (dead) {
		while (sched_take_back(&x->q->sched, x->transport,
				       outcome == SCHED_AGENT ? NULL : d, &m, &list)) {
			struct message *other = CONTAINER_OF(m, struct message, sched);

			if (retry) {
				other->deferred = true;
				recipients_done(other, x->transport, list);
			} else {
				active_defer(other, list, dsn, reason);
			}
			active_progress(other);
		}
	}
	active_progress(x->m);
	event_signal_all(&x->q->dispatch);
}

static void
deliver(void *arg)
{
	struct delivery *x = arg;
	struct msg_deliver_done done = {.site_dsn = STR_EMPTY, .site_reason = STR_EMPTY};
	struct arena *mem = x->mem;

	finish(x, talk(x, &done), &done);
	arena_free(&mem);
}

/* What the agent is told as next hop: a destination of one user has the user in front. */
static struct str
nexthop_of(const struct delivery *x)
{
	struct str name = x->entry->destination->name;
	size_t at = str_rindex(name, '@');

	if (x->transport->params.recipient_limit == 1 && at < name.len &&
	    !str_eq(x->transport->name, STR("error")) &&
	    !str_eq(x->transport->name, STR("retry")))
		return str_dup(x->mem, str_skip(name, at + 1));
	return str_dup(x->mem, name);
}

static void
start_delivery(struct qmgr *q, struct sched_transport *t, struct sched_entry *entry)
{
	struct arena *mem = arena_new();
	struct delivery *x = ARENA_NEW(mem, struct delivery);

	*x = (struct delivery){.q = q, .transport = t, .entry = entry, .mem = mem};
	x->m = CONTAINER_OF(entry->job->message, struct message, sched);
	x->nexthop = nexthop_of(x);
	if (fiber_spawn(q->daemon->loop, "deliver", deliver, x) == NULL) {
		const struct msg_deliver_done done = {.site_dsn = STR_EMPTY,
						      .site_reason = STR_EMPTY};

		finish(x, SCHED_AGENT, &done);
		arena_free(&mem);
	}
}

static void
hand_out(struct qmgr *q)
{
	const struct map_entry *e;
	size_t at = 0;

	sched_wake(&q->sched, loop_now_ms(q->daemon->loop));
	while ((e = map_next(q->sched.transports, &at)) != NULL) {
		struct sched_entry *entry;

		while ((entry = sched_take(&q->sched, e->value,
					   loop_now_ms(q->daemon->loop))) != NULL)
			start_delivery(q, e->value, entry);
	}
}

void
deliver_run(void *arg)
{
	struct qmgr *q = arg;

	while (!q->daemon->draining) {
		int64_t sweep_ms;

		hand_out(q);
		sweep_ms = sweep_agents(q);
		if (event_wait(&q->dispatch, MIN_OF(sched_next_wake_ms(&q->sched),
						    sweep_ms)) == FIBER_CANCELLED)
			break;
	}
}
