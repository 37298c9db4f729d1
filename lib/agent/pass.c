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

static int64_t
count_open(const struct agent_request *r)
{
	int64_t n = 0;

	for (size_t i = 0; i < r->n_recipients; i++)
		n += !r->recipients[i].done;
	return n;
}

static bool
send_request(struct agent_request *r, struct ipc *ipc, struct str transport,
	     struct str nexthop, struct err *err)
{
	struct msg_deliver_request request = r->msg;

	request.transport = transport;
	request.nexthop = nexthop;
	request.flags &= ~(int64_t)(DELIVER_CONN_LOAD | DELIVER_CONN_STORE);
	request.recipient_count = count_open(r);
	if (!ipc_send(ipc, &ipc_deliver_request, &request, err))
		return false;
	for (size_t i = 0; i < r->n_recipients; i++) {
		const struct msg_deliver_recipient *m = &r->recipients[i].msg;

		if (r->recipients[i].done)
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
find_open(struct agent_request *r, int64_t offset)
{
	for (size_t i = 0; i < r->n_recipients; i++) {
		if (!r->recipients[i].done && r->recipients[i].msg.offset == offset)
			return &r->recipients[i];
	}
	return NULL;
}

static bool
pass_result(struct agent_request *r, const struct msg_deliver_result *result,
	    struct err *err)
{
	struct agent_recipient *rcpt = find_open(r, result->offset);

	if (rcpt == NULL)
		return err_set(err, ERR_PERM, "answer for an unknown recipient");
	rcpt->done = true;
	r->deferred = r->deferred || result->outcome == DELIVER_DEFERRED;
	if (!ipc_send(r->ipc, &ipc_deliver_result, result, err) ||
	    !ipc_flush(r->ipc, err))
		r->lost = true;
	return true;
}

static bool
pass_results(struct agent_request *r, struct ipc *ipc, struct err *err)
{
	static const struct ipc_message *const accepted[] = {&ipc_deliver_result,
							     &ipc_deliver_done, NULL};
	const struct ipc_message *which;
	void *value;

	for (;;) {
		if (ipc_receive_any(ipc, r->mem, accepted, &which, &value, err) !=
		    IPC_DONE)
			return false;
		if (which == &ipc_deliver_done)
			return true;
		if (!pass_result(r, value, err))
			return false;
	}
}

void
agent_pass(struct agent_request *r, struct str to)
{
	struct str transport = to;
	struct str nexthop = STR_EMPTY;
	struct stream *s = NULL;
	struct ipc ipc;
	struct err err;
	struct dsn dsn;
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
		ok = send_request(r, &ipc, transport, nexthop, &err) &&
		     pass_results(r, &ipc, &err);
		stream_close(&s);
	}
	if (!ok)
		log_warning(r->daemon->log, "transport " PRI_STR ": %s",
			    STR_ARG(transport), err.text);
	dsn = dsn_make(r->mem, "4.3.0", STR("mail transport unavailable"));
	for (size_t i = 0; i < r->n_recipients; i++)
		agent_answer(r, &r->recipients[i], DELIVER_DEFERRED, STR("none"), 0,
			     &dsn);
}
