/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pass.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "mail/address.h"

/* Connecting and each message; the other agent has limits of its own for what it does. */
enum { CONNECT_MS = 60000, DELIVERY_MS = 1000000 };

struct pass {
	struct agent_request *r;
	struct agent_recipient *only; /* NULL: all that are open */
	struct dsn *collect;          /* NULL: results go to qmgr */
	bool collected;
};

static bool
takes_part(const struct pass *p, const struct agent_recipient *rcpt)
{
	return !rcpt->done && (p->only == NULL || p->only == rcpt);
}

static int64_t
count_open(const struct pass *p)
{
	int64_t n = 0;

	for (size_t i = 0; i < p->r->n_recipients; i++)
		n += takes_part(p, &p->r->recipients[i]);
	return n;
}

static bool
send_request(const struct pass *p, struct ipc *ipc, struct str transport,
	     struct str nexthop, struct err *err)
{
	struct agent_request *r = p->r;
	struct msg_deliver_request request = r->msg;

	request.transport = transport;
	request.nexthop = nexthop;
	request.flags &= ~(int64_t)(DELIVER_CONN_LOAD | DELIVER_CONN_STORE);
	request.recipient_count = count_open(p);
	if (!ipc_send(ipc, &ipc_deliver_request, &request, err))
		return false;
	for (size_t i = 0; i < r->n_recipients; i++) {
		const struct msg_deliver_recipient *m = &r->recipients[i].msg;

		if (!takes_part(p, &r->recipients[i]))
			continue;
		log_info(r->daemon->log,
			 PRI_STR ": passing <" PRI_STR "> to transport=" PRI_STR,
			 STR_ARG(r->msg.queue_id),
			 STR_ARG(address_quote_header(r->mem, m->address)),
			 STR_ARG(transport));
		if (!ipc_send(ipc, &ipc_deliver_recipient, m, err))
			return false;
	}
	return ipc_flush(ipc, err);
}

/* One of ours that still waits, by the place of its record. */
static struct agent_recipient *
find_open(const struct pass *p, int64_t offset)
{
	for (size_t i = 0; i < p->r->n_recipients; i++) {
		struct agent_recipient *rcpt = &p->r->recipients[i];

		if (takes_part(p, rcpt) && rcpt->msg.offset == offset)
			return rcpt;
	}
	return NULL;
}

static bool
keep_result(struct pass *p, const struct msg_deliver_result *result, struct err *err)
{
	static const char classes[] = {
		[DELIVER_SENT] = '2', [DELIVER_DEFERRED] = '4', [DELIVER_BOUNCED] = '5'};
	struct arena *mem = p->r->mem;

	if (result->outcome > DELIVER_BOUNCED || dsn_status_length(result->dsn) == 0)
		return err_set(err, ERR_PERM, "bad answer");
	*p->collect = dsn_make(mem, str_c(mem, result->dsn), result->reason);
	p->collect->status =
		dsn_status_with_class(p->collect->status, classes[result->outcome]);
	p->collect->diag_type = str_dup(mem, result->diag_type);
	p->collect->diag_text = str_dup(mem, result->diag_text);
	p->collect->mta_type = str_dup(mem, result->mta_type);
	p->collect->mta_name = str_dup(mem, result->mta_name);
	p->collected = true;
	return true;
}

static bool
pass_result(struct pass *p, const struct msg_deliver_result *result, struct err *err)
{
	struct agent_request *r = p->r;
	struct agent_recipient *rcpt = find_open(p, result->offset);

	if (rcpt == NULL || p->collected)
		return err_set(err, ERR_PERM, "answer for an unknown recipient");
	if (p->collect != NULL)
		return keep_result(p, result, err);
	rcpt->done = true;
	r->deferred = r->deferred || result->outcome == DELIVER_DEFERRED;
	if (!ipc_send(r->ipc, &ipc_deliver_result, result, err) ||
	    !ipc_flush(r->ipc, err))
		r->lost = true;
	return true;
}

static bool
pass_results(struct pass *p, struct ipc *ipc, struct err *err)
{
	static const struct ipc_message *const accepted[] = {&ipc_deliver_result,
							     &ipc_deliver_done, NULL};
	const struct ipc_message *which;
	void *value;

	for (;;) {
		if (ipc_receive_any(ipc, p->r->mem, accepted, &which, &value, err) !=
		    IPC_DONE)
			return false;
		if (which == &ipc_deliver_done)
			return true;
		if (!pass_result(p, value, err))
			return false;
	}
}

/* False: not all have a result. */
static bool
ask(struct pass *p, struct str to)
{
	struct agent_request *r = p->r;
	struct str transport = to;
	struct str nexthop = STR_EMPTY;
	struct stream *s = NULL;
	struct ipc ipc;
	struct err err;
	bool ok;

	IGNORE(str_split(to, ':', &transport, &nexthop));
	if (nexthop.len == 0)
		nexthop = r->msg.nexthop;
	ok = daemon_connect(r->daemon,
			    str_printf(r->mem, "private/" PRI_STR, STR_ARG(transport)).p,
			    CONNECT_MS, &s, &err);
	if (ok) {
		stream_set_timeout_ms(s, DELIVERY_MS);
		ipc_init(&ipc, s);
		ok = send_request(p, &ipc, transport, nexthop, &err) &&
		     pass_results(p, &ipc, &err);
		stream_close(&s);
	}
	if (!ok)
		log_warning(r->daemon->log, "transport " PRI_STR ": %s",
			    STR_ARG(transport), err.text);
	return ok;
}

static void
defer_rest(struct pass *p)
{
	struct dsn dsn = dsn_make(p->r->mem, "4.3.0", STR("mail transport unavailable"));

	if (p->collect != NULL) {
		if (!p->collected)
			*p->collect = dsn;
		return;
	}
	for (size_t i = 0; i < p->r->n_recipients; i++) {
		if (takes_part(p, &p->r->recipients[i]))
			agent_answer(p->r, &p->r->recipients[i], DELIVER_DEFERRED,
				     STR("none"), 0, &dsn);
	}
}

void
agent_pass(struct agent_request *r, struct str to)
{
	struct pass p = {.r = r};

	IGNORE(!ask(&p, to));
	defer_rest(&p);
}

void
agent_pass_one(struct agent_request *r, struct agent_recipient *rcpt, struct str to,
	       struct dsn *collect)
{
	struct pass p = {.r = r, .only = rcpt, .collect = collect};

	IGNORE(!ask(&p, to));
	defer_rest(&p);
}
