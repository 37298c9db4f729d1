/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One delivery request: all destinations in turn (the next hop's list, then
 * smtp_fallback_relay), all addresses of each, until every recipient has an answer
 * (facts: routing 5). What only failed for now at one host is offered to the next; what
 * was refused for good is not.
 */
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "agent/agent.h"
#include "agent/pass.h"
#include "agent/status_filter.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "mail/address.h"
#include "queue/file.h"
#include "smtp/extension.h"
#include "smtp/nexthop.h"
#include "smtp/xforward.h"
#include "table/match.h"

#include "generic.h"
#include "log.h"
#include "login.h"
#include "output.h"
#include "smtp.h"
#include "tls.h"

enum { RESOLVER_MS = 60000 };

/* A request on its way. */
struct attempt {
	struct agent_request *r;
	struct smtp *smtp;
	struct arena *mem;
	struct smtp_mail mail;
	struct smtp_origin origin;
	struct smtp_rcpt *rcpts;
	struct queue_content content;
	struct output *output;
	const struct smtp_client *client; /* that it is sent with */
	struct str *destinations;
	size_t n_destinations;
	size_t n_fallback; /* of them, at the end */
	struct stream *resolver;
	struct ipc resolver_ipc;
	struct dsn last;  /* why the last host, or look-up, failed */
	struct str relay; /* of the last session; "none" */
	unsigned reuse;
	bool last_was_site; /* the last failure was before a session */
	bool session_completed;
	bool passed; /* to best_mx_transport: it is ours after all */
	bool final;  /* no further destination: loops and our own MX */
};

/* ---- content ---- */

static enum smtp_content
read_text(void *arg, struct str *text_out)
{
	struct attempt *a = arg;
	struct err err = {0};

	switch (queue_content_next(&a->content, text_out, &err)) {
	case QUEUE_CONTENT_LINE:
		return SMTP_CONTENT_LINE;
	case QUEUE_CONTENT_PART:
		return SMTP_CONTENT_PART;
	case QUEUE_CONTENT_END:
		return SMTP_CONTENT_END;
	case QUEUE_CONTENT_FAILED:
		break;
	}
	log_warning(a->r->daemon->log, PRI_STR ": %s", STR_ARG(a->r->msg.queue_id),
		    err.text);
	return SMTP_CONTENT_FAILED;
}

static enum smtp_content
next_text(void *arg, struct str *text_out)
{
	struct attempt *a = arg;

	return output_next(a->output, text_out, &a->mail.failure);
}

static bool
rewind_text(void *arg)
{
	struct attempt *a = arg;

	queue_content_rewind(&a->content);
	output_start(a->output, smtp_client_must_convert(a->client, &a->mail));
	return true;
}

/* smtp_generic_maps. */
static bool
rewrite_envelope(struct attempt *a)
{
	const struct generic *g = output_generic(a->smtp);
	struct log *log = a->r->daemon->log;
	struct err err;

	for (size_t i = 0; i <= a->mail.n_rcpts; i++) {
		struct str *address = i == 0 ? &a->mail.sender : &a->rcpts[i - 1].address;
		struct str warning;

		if (!generic_address(g, a->mem, *address, address, &warning, &err)) {
			log_warning(log, "%s", err.text);
			a->last =
				dsn_make(a->mem, "4.3.0", STR("address mapping failed"));
			return false;
		}
		if (warning.len > 0)
			log_warning(log, PRI_STR, STR_ARG(warning));
	}
	return true;
}

static void
prepare_mail(struct attempt *a)
{
	const struct msg_deliver_request *m = &a->r->msg;

	a->rcpts = arena_alloc_array(a->mem, a->r->n_recipients, sizeof(*a->rcpts));
	for (size_t i = 0; i < a->r->n_recipients; i++) {
		const struct msg_deliver_recipient *rcpt = &a->r->recipients[i].msg;

		a->rcpts[i] = (struct smtp_rcpt){.address = rcpt->address,
						 .orcpt = rcpt->dsn_orcpt,
						 .notify = (unsigned)rcpt->dsn_notify};
	}
	a->origin = (struct smtp_origin){
		.name = m->client_name,
		.address = m->client_address,
		.port = m->client_port,
		.proto = m->client_proto,
		.helo = m->client_helo,
		.ident = m->log_ident,
		.is_local = str_ieq(m->rewrite_context, STR("local")),
	};
	queue_content_init(a->mem, &a->content, m->message, m->content_offset);
	a->output = output_new(a->mem, a->smtp, m->queue_id,
			       &(struct output_source){.next = read_text, .arg = a});
	a->mail = (struct smtp_mail){
		.sender = m->sender,
		.size = m->content_size,
		.is_8bit = str_eq(m->encoding, STR("8bit")),
		.is_7bit = str_eq(m->encoding, STR("7bit")),
		.may_convert = !a->smtp->config.disable_mime_output_conversion,
		.probe = (m->flags & (DELIVER_VERIFY | DELIVER_MTA_VERIFY)) != 0,
		.probe_data = a->smtp->probe_data,
		.envelope_id = m->envelope_id,
		.dsn_ret = (int)m->dsn_return,
		.rcpts = a->rcpts,
		.n_rcpts = a->r->n_recipients,
		.next = next_text,
		.rewind = rewind_text,
		.origin = a->smtp->config.smtp_send_xforward_command ? &a->origin : NULL,
		.arg = a};
}

/* ---- the resolver ---- */

static bool
resolver_open(struct attempt *a, struct err *err)
{
	if (a->resolver != NULL)
		return true;
	if (!daemon_connect(a->r->daemon, "private/resolver", RESOLVER_MS, &a->resolver,
			    err))
		return false;
	stream_set_timeout_ms(a->resolver, RESOLVER_MS);
	ipc_init(&a->resolver_ipc, a->resolver);
	return true;
}

static void
ask_resolver(void *arg, struct arena *mem, struct str name, enum dns_type type,
	     bool native, struct dns_answer *out)
{
	struct attempt *a = arg;
	bool was_open = a->resolver != NULL;
	struct err err;

	/* Answers refer to the question: host names come back in its letters. */
	name = str_lower(mem, name);
	if (resolver_open(a, &err) &&
	    dns_exchange(&a->resolver_ipc, mem, name, type, native, out, &err))
		return;
	/* Between two questions the resolver may have been replaced (reload). */
	stream_close(&a->resolver);
	if (was_open && resolver_open(a, &err) &&
	    dns_exchange(&a->resolver_ipc, mem, name, type, native, out, &err))
		return;
	log_warning(a->r->daemon->log, "resolver: %s", err.text);
	stream_close(&a->resolver);
	*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
				   .why = STR("resolver unavailable")};
}

/* ---- results ---- */

static size_t
count_pending(const struct attempt *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->mail.n_rcpts; i++)
		n += a->rcpts[i].outcome == SMTP_RCPT_PENDING;
	return n;
}

/* soft_bounce: what was refused for good is only put off, and may be offered elsewhere.
 */
static void
soften(struct attempt *a, struct smtp_rcpt *rcpt)
{
	if (!a->smtp->soft_bounce || rcpt->outcome != SMTP_RCPT_REJECTED)
		return;
	rcpt->outcome = SMTP_RCPT_PENDING;
	rcpt->dsn.status = dsn_status_with_class(rcpt->dsn.status, '4');
}

static void
answer_one(struct attempt *a, size_t i)
{
	const struct smtp_rcpt *rcpt = &a->rcpts[i];
	enum deliver_outcome outcome = rcpt->outcome == SMTP_RCPT_SENT ? DELIVER_SENT
				       : rcpt->outcome == SMTP_RCPT_REJECTED
					       ? DELIVER_BOUNCED
					       : DELIVER_DEFERRED;

	agent_answer(a->r, &a->r->recipients[i], outcome, a->relay, a->reuse, &rcpt->dsn);
}

/* Tell qmgr of everybody who is decided, in the order of the server's words: first those
 * whom it turned away by name. last_host: no other is left, so that those turned away
 * for now are decided as well. */
static void
answer_decided(struct attempt *a, bool last_host)
{
	for (size_t i = 0; i < a->mail.n_rcpts; i++) {
		struct smtp_rcpt *rcpt = &a->rcpts[i];

		soften(a, rcpt);
		if (rcpt->turned_away &&
		    (rcpt->outcome == SMTP_RCPT_REJECTED || last_host))
			answer_one(a, i);
	}
	for (size_t i = 0; i < a->mail.n_rcpts; i++) {
		if (a->rcpts[i].outcome != SMTP_RCPT_PENDING)
			answer_one(a, i);
	}
}

/* More hosts will be tried: say what this one did, once per recipient that it turned
 * away, or once for all. */
static void
log_before_next(struct attempt *a, bool session_failed)
{
	if (session_failed) {
		log_try_next(a->r->daemon->log, a->r->msg.queue_id, a->last.reason);
		return;
	}
	for (size_t i = 0; i < a->mail.n_rcpts; i++) {
		if (a->rcpts[i].outcome == SMTP_RCPT_PENDING &&
		    a->rcpts[i].dsn.status.text[0] != '\0')
			log_try_next(a->r->daemon->log, a->r->msg.queue_id,
				     a->rcpts[i].dsn.reason);
	}
}

static struct dsn
configuration_problem(struct attempt *a, const char *parameter, const struct dsn *why)
{
	log_relay_problem(a->r->daemon->log, parameter);
	return dsn_printf(a->mem, "4.3.5", PRI_STR, STR_ARG(why->reason));
}

/* Those who are left: deferred, or bounced when the last word was a hard one. A relay
 * host of ours that cannot be found is our mistake, not the sender's. */
static void
answer_rest(struct attempt *a)
{
	struct dsn last = a->last;
	bool hard = last.status.text[0] == '5';

	if (hard && a->n_fallback > 0 && !a->final)
		last = configuration_problem(a, "smtp_fallback_relay", &last);
	else if (hard && !a->final && str_eq(a->r->msg.nexthop, a->smtp->relayhost))
		last = configuration_problem(a, "relayhost", &last);
	else if (hard && a->smtp->soft_bounce)
		last.status = dsn_status_with_class(last.status, '4');
	hard = last.status.text[0] == '5';
	for (size_t i = 0; i < a->mail.n_rcpts; i++) {
		struct smtp_rcpt *rcpt = &a->rcpts[i];
		const struct dsn *dsn =
			rcpt->dsn.status.text[0] != '\0' ? &rcpt->dsn : &last;

		if (rcpt->outcome != SMTP_RCPT_PENDING)
			continue;
		agent_answer(a->r, &a->r->recipients[i],
			     hard && dsn == &last ? DELIVER_BOUNCED : DELIVER_DEFERRED,
			     a->relay, a->reuse, dsn);
	}
	if (a->last_was_site && !a->session_completed && !hard)
		a->r->site = last;
}

/* ---- hosts ---- */

static void
note_failure(struct attempt *a, struct dsn dsn, bool before_session)
{
	a->last = dsn;
	a->last_was_site = before_session;
	/* A word about one recipient is more than one about the host that came later. */
	for (size_t i = 0; i < a->mail.n_rcpts && before_session; i++) {
		if (a->rcpts[i].outcome == SMTP_RCPT_PENDING)
			a->rcpts[i].dsn = (struct dsn){0};
	}
}

static void
use_connection(struct attempt *a, struct connection *c)
{
	a->relay = str_dup(a->mem, c->relay);
	a->reuse = c->reuse;
	a->r->setup_us = sys_now_us();
}

/* Send over a connection that is ready. Returns true when the session went to its end. */
static bool
transfer(struct attempt *a, struct connection *c, bool keep, bool last_host)
{
	struct dsn dsn;
	bool ok;

	use_connection(a, c);
	a->client = &c->client;
	a->mail.line_broken = false;
	for (size_t i = 0; i < a->mail.n_rcpts; i++)
		a->r->recipients[i].passed_on =
			(c->client.features & SMTP_FEATURE_DSN) != 0;
	ok = smtp_client_send(&c->client, &a->mail, &dsn) == SMTP_SESSION_OK;
	for (size_t i = 0; i < a->mail.n_warnings; i++)
		log_warning(a->r->daemon->log, "host " PRI_STR " " PRI_STR,
			    STR_ARG(c->relay), STR_ARG(a->mail.warnings[i]));
	if (a->mail.line_broken)
		log_line_broken(a->r->daemon->log, a->r->msg.queue_id,
				c->client.options.line_length_limit);
	for (size_t i = 0; i < a->mail.n_rcpts; i++)
		a->rcpts[i].dsn = dsn_dup(a->mem, &a->rcpts[i].dsn);
	if (ok) {
		a->session_completed = true;
		a->last_was_site = false;
		for (size_t i = 0; i < a->mail.n_rcpts; i++) {
			if (a->rcpts[i].outcome == SMTP_RCPT_PENDING)
				a->last = a->rcpts[i].dsn;
		}
	} else {
		a->last = dsn_dup(a->mem, &dsn);
		a->last_was_site = false;
	}
	answer_decided(a, last_host);
	smtp_client_end_mail(&c->client);
	if (keep)
		cache_give_back(a->smtp, c);
	else
		connection_close(a->smtp, &c);
	return ok;
}

/* smtp_connection_cache_destinations: those are kept whatever qmgr says. */
static bool
is_cache_destination(const struct attempt *a)
{
	struct err err;
	struct nexthop n;

	if (match_is_empty(a->smtp->cache_destinations) ||
	    !nexthop_parse(a->mem, a->r->msg.nexthop, a->smtp->lmtp,
			   a->smtp->config.smtp_tcp_port, &n, &err))
		return false;
	switch (match_find(a->smtp->cache_destinations, n.host, NULL, &err)) {
	case MATCH_YES:
		return true;
	case MATCH_NO:
		return false;
	case MATCH_FAILED:
		break;
	}
	log_warning(a->r->daemon->log, "%s", err.text);
	return false;
}

static bool
flag_or_listed(const struct attempt *a, unsigned flag)
{
	return ((a->r->msg.flags & flag) != 0 &&
		a->smtp->config.smtp_connection_cache_on_demand) ||
	       is_cache_destination(a);
}

static void
try_cached(struct attempt *a, struct str key)
{
	struct connection *c;

	if (!flag_or_listed(a, DELIVER_CONN_LOAD))
		return;
	while (count_pending(a) > 0 && (c = cache_take(a->smtp, key)) != NULL) {
		if (transfer(a, c, flag_or_listed(a, DELIVER_CONN_STORE), false))
			return;
	}
}

static size_t
at_most(size_t n, int64_t limit)
{
	return limit > 0 && (uint64_t)limit < n ? (size_t)limit : n;
}

/* TLS was a wish that the server could not fulfil. Without it only what has waited
 * already goes, and nothing that we would log in for (postconf(5):
 * smtp_tls_security_level). */
static bool
may_go_plain(const struct attempt *a, const struct connection_order *o)
{
	const struct msg_deliver_request *m = &a->r->msg;
	int64_t waited_us = m->active_us - m->arrival_us;

	return o->tls_failed && !o->has_login &&
	       (a->mail.probe || waited_us >= a->smtp->minimal_backoff_s * 1000000);
}

static struct connection *
open_host(struct attempt *a, struct connection_order *o)
{
	struct connection *c;

	o->relay = STR("none");
	o->plain = o->tls_failed = o->has_login = false;
	c = connection_open(a->smtp, o);
	if (c == NULL && may_go_plain(a, o)) {
		o->plain = true;
		c = connection_open(a->smtp, o);
	}
	a->relay = o->relay;
	a->reuse = 0;
	return c;
}

static void
try_hosts(struct attempt *a, struct connection_order *o, bool last_destination)
{
	size_t n_hosts = at_most(o->hosts->n_hosts, a->smtp->rules.address_limit);
	size_t max_sessions = at_most(n_hosts, a->smtp->config.smtp_mx_session_limit);
	size_t sessions = 0;

	for (size_t i = 0; i < n_hosts && sessions < max_sessions && count_pending(a) > 0;
	     i++) {
		bool last_host = last_destination && i + 1 == n_hosts;
		struct connection *c;
		bool ok;

		o->host = &o->hosts->hosts[i];
		c = open_host(a, o);
		if (c == NULL) {
			note_failure(a, o->dsn, true);
			if (o->dsn.status.text[0] != '4')
				a->final = true;
			/* A connection that was not made has had its line. */
			else if (!last_host && !str_eq(a->relay, STR("none")))
				log_before_next(a, true);
			continue;
		}
		sessions++;
		last_host = last_host || (last_destination && sessions == max_sessions);
		ok = transfer(a, c, flag_or_listed(a, DELIVER_CONN_STORE), last_host);
		if (!last_host && count_pending(a) > 0)
			log_before_next(a, !ok);
	}
}

/* Connections of one user are not for another. */
static struct str
cache_key(const struct attempt *a, struct str destination)
{
	struct str user = login_key(a->smtp, a->r->msg.sender);

	return str_printf(a->mem, PRI_STR "\n" PRI_STR, STR_ARG(destination),
			  STR_ARG(user));
}

static void
try_looked_up(struct attempt *a, struct connection_order *o, bool last)
{
	const struct nexthop *n = o->nexthop;
	struct lookup_answer answer;

	hosts_find(a->smtp, a->mem, o->dns, n, &answer);
	if (answer.no_mx_address)
		log_no_mx_address(a->r->daemon->log, n->host);
	if (answer.we_are_mx || answer.is_loop)
		a->final = true;
	if (answer.is_loop && a->smtp->config.best_mx_transport.len > 0) {
		a->passed = true;
		return;
	}
	if (answer.result == LOOKUP_NO_HOSTS) {
		note_failure(a, answer.dsn, true);
		a->relay = STR("none");
		return;
	}
	o->hosts = &answer;
	try_hosts(a, o, last || a->final);
	o->hosts = NULL;
}

static void
try_destination(struct attempt *a, struct str text, bool last)
{
	struct dns_asker asker = {.ask = ask_resolver, .arg = a};
	struct tls_policy *policy = ARENA_NEW(a->mem, struct tls_policy);
	struct connection_order order = {.r = a->r,
					 .dns = &asker,
					 .destination = text,
					 .policy = policy,
					 .key = cache_key(a, text)};
	struct nexthop n;
	struct dsn dsn;
	struct err err;

	if (!nexthop_parse(a->mem, text, a->smtp->lmtp, a->smtp->config.smtp_tcp_port, &n,
			   &err)) {
		log_warning(a->r->daemon->log, "%s", err.text);
		note_failure(a, dsn_make(a->mem, "4.3.5", str_from(err.text)), true);
		return;
	}
	order.nexthop = &n;
	if (!tls_policy_find(a->smtp, a->mem, text, &n, policy, &dsn)) {
		note_failure(a, dsn, true);
		a->relay = STR("none");
		return;
	}
	try_cached(a, order.key);
	if (count_pending(a) > 0)
		try_looked_up(a, &order, last);
}

static bool
list_destinations(struct attempt *a, struct err *err)
{
	struct str *next;
	struct str *fallback;
	size_t n_next;

	if (!nexthop_list(a->mem, a->r->msg.nexthop, &next, &n_next, err) ||
	    !nexthop_list(a->mem, a->smtp->config.smtp_fallback_relay, &fallback,
			  &a->n_fallback, err))
		return false;
	a->n_destinations = n_next + a->n_fallback;
	a->destinations =
		arena_alloc_array(a->mem, a->n_destinations + 1, sizeof(struct str));
	for (size_t i = 0; i < a->n_destinations; i++)
		a->destinations[i] = i < n_next ? next[i] : fallback[i - n_next];
	return true;
}

void
deliver(struct agent_request *r)
{
	struct attempt a = {
		.r = r, .smtp = r->daemon->state, .mem = r->mem, .relay = STR("none")};
	struct err err;

	r->filter = a.smtp->status_filter;
	a.last = dsn_make(a.mem, "4.3.0",
			  STR("server unavailable or unable to receive mail"));
	prepare_mail(&a);
	if (!list_destinations(&a, &err)) {
		a.last = dsn_make(a.mem, "4.3.5", str_from(err.text));
	} else if (rewrite_envelope(&a)) {
		for (size_t i = 0;
		     i < a.n_destinations && !a.final && count_pending(&a) > 0; i++)
			try_destination(&a, a.destinations[i], i + 1 == a.n_destinations);
	}
	stream_close(&a.resolver);
	/* Who starts may read what only root may. */
	if (tls_is_outdated(a.smtp) || login_is_outdated(a.smtp) ||
	    agent_status_filter_is_outdated(a.smtp->status_filter) ||
	    output_is_outdated(a.smtp))
		daemon_ask_successor(r->daemon);
	if (a.passed)
		agent_pass(r, a.smtp->config.best_mx_transport);
	else
		answer_rest(&a);
}
