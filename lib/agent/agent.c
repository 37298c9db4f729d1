/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "agent/status_filter.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "mail/address.h"
#include "mail/delay.h"

enum { RECIPIENTS_MAX = 100000, REQUEST_MS = 60000, DELAY_DECIMALS = 2 };

/* ---- the log line (facts: logs 2) ---- */

static struct str
delays(struct agent_request *r, struct arena *mem, int64_t now_us)
{
	int64_t arrival = r->msg.arrival_us;
	int64_t setup = r->setup_us > 0 ? r->setup_us : r->handed_us;
	struct str a = delay_format(mem, r->msg.active_us - arrival, DELAY_DECIMALS);
	struct str b = delay_format(mem, r->handed_us - r->msg.active_us, DELAY_DECIMALS);
	struct str c = delay_format(mem, setup - r->handed_us, DELAY_DECIMALS);
	struct str d = delay_format(mem, now_us - setup, DELAY_DECIMALS);

	return str_printf(mem,
			  "delay=" PRI_STR ", delays=" PRI_STR "/" PRI_STR "/" PRI_STR
			  "/" PRI_STR,
			  STR_ARG(delay_format(mem, now_us - arrival, DELAY_DECIMALS)),
			  STR_ARG(a), STR_ARG(b), STR_ARG(c), STR_ARG(d));
}

static const char *
status_word(const struct agent_request *r, enum deliver_outcome outcome)
{
	if ((r->msg.flags & DELIVER_VERIFY) != 0 && outcome == DELIVER_SENT)
		return "deliverable";
	if ((r->msg.flags & DELIVER_VERIFY) != 0)
		return (r->msg.flags & DELIVER_NOT_CACHED) != 0
			       ? "undeliverable-but-not-cached"
			       : "undeliverable";
	return outcome == DELIVER_SENT      ? "sent"
	       : outcome == DELIVER_BOUNCED ? "bounced"
					    : "deferred";
}

static void
log_delivery(struct agent_request *r, const struct agent_recipient *rcpt,
	     enum deliver_outcome outcome, struct str relay, unsigned reuse,
	     const struct dsn *dsn)
{
	struct arena *mem = arena_new();
	struct str orig = STR_EMPTY;
	struct str use = STR_EMPTY;

	if (rcpt->msg.orig_address.len > 0 &&
	    !str_ieq(rcpt->msg.orig_address, rcpt->msg.address))
		orig = str_printf(
			mem, " orig_to=<" PRI_STR ">,",
			STR_ARG(address_quote_header(mem, rcpt->msg.orig_address)));
	if (reuse > 0)
		use = str_printf(mem, " conn_use=%u,", reuse + 1);
	log_info(r->daemon->log,
		 PRI_STR ": to=<" PRI_STR ">," PRI_STR " relay=" PRI_STR "," PRI_STR
			 " " PRI_STR ", dsn=%s, status=%s (" PRI_STR ")",
		 STR_ARG(r->msg.queue_id),
		 STR_ARG(address_quote_header(mem, rcpt->msg.address)), STR_ARG(orig),
		 STR_ARG(relay), STR_ARG(use), STR_ARG(delays(r, mem, sys_now_us())),
		 dsn->status.text, status_word(r, outcome), STR_ARG(dsn->reason));
	arena_free(&mem);
}

/* ---- answers ---- */

static const char *
action_of(const struct agent_request *r, enum deliver_outcome outcome,
	  const struct dsn *dsn)
{
	if ((r->msg.flags & DELIVER_VERIFY) != 0)
		return outcome == DELIVER_SENT ? "deliverable" : "undeliverable";
	if (outcome == DELIVER_SENT)
		return dsn->action == DSN_RELAYED ? "relayed" : "delivered";
	return outcome == DELIVER_BOUNCED ? "failed" : "delayed";
}

static void
answer(struct agent_request *r, struct agent_recipient *rcpt,
       enum deliver_outcome outcome, struct str relay, unsigned reuse,
       const struct dsn *dsn)
{
	const struct msg_deliver_result result = {
		.offset = rcpt->msg.offset,
		.outcome = outcome,
		.dsn = str_from(dsn->status.text),
		.action = str_from(action_of(r, outcome, dsn)),
		.reason = str_head(dsn->reason, 4096),
		.mta_type = dsn->mta_type.p == NULL ? STR_EMPTY : dsn->mta_type,
		.mta_name = dsn->mta_name.p == NULL ? STR_EMPTY
						    : str_head(dsn->mta_name, 300),
		.diag_type = dsn->diag_type.p == NULL ? STR_EMPTY : dsn->diag_type,
		.diag_text = dsn->diag_text.p == NULL ? STR_EMPTY
						      : str_head(dsn->diag_text, 4096),
		.via = str_eq(relay, STR("none")) ? STR_EMPTY : str_head(relay, 400),
		.passed_on = rcpt->passed_on,
	};
	struct err err;

	rcpt->done = true;
	r->deferred = r->deferred || outcome == DELIVER_DEFERRED;
	log_delivery(r, rcpt, outcome, relay, reuse, dsn);
	if (!ipc_send(r->ipc, &ipc_deliver_result, &result, &err) ||
	    !ipc_flush(r->ipc, &err))
		r->lost = true;
}

static enum deliver_outcome
outcome_of(const struct dsn *dsn)
{
	return dsn->status.text[0] == '2'   ? DELIVER_SENT
	       : dsn->status.text[0] == '5' ? DELIVER_BOUNCED
					    : DELIVER_DEFERRED;
}

void
agent_answer(struct agent_request *r, struct agent_recipient *rcpt,
	     enum deliver_outcome outcome, struct str relay, unsigned reuse,
	     const struct dsn *dsn)
{
	struct arena *mem;
	struct dsn filtered;

	if (rcpt->done)
		return;
	if (r->filter == NULL) {
		answer(r, rcpt, outcome, relay, reuse, dsn);
		return;
	}
	mem = arena_new();
	filtered = agent_status_filter_apply(r->filter, mem, dsn);
	if (filtered.status.text[0] != dsn->status.text[0])
		outcome = outcome_of(&filtered);
	answer(r, rcpt, outcome, relay, reuse, &filtered);
	arena_free(&mem);
}

static void
answer_the_rest(struct agent_request *r)
{
	struct dsn dsn = dsn_make(r->mem, "4.3.0", STR("unknown mail transport error"));

	for (size_t i = 0; i < r->n_recipients; i++)
		agent_answer(r, &r->recipients[i], DELIVER_DEFERRED, STR("none"), 0,
			     &dsn);
}

/* ---- requests ---- */

static bool
receive_recipients(struct agent_request *r, struct err *err)
{
	r->n_recipients = (size_t)r->msg.recipient_count;
	if (r->n_recipients > RECIPIENTS_MAX)
		return err_set(err, ERR_PERM, "too many recipients");
	r->recipients =
		arena_alloc_array(r->mem, r->n_recipients, sizeof(*r->recipients));
	for (size_t i = 0; i < r->n_recipients; i++) {
		if (ipc_receive(r->ipc, r->mem, &ipc_deliver_recipient,
				&r->recipients[i].msg, err) != IPC_DONE)
			return false;
	}
	return true;
}

static bool
serve_one(struct daemon *d, struct ipc *ipc, struct stream *client,
	  void (*deliver)(struct agent_request *r))
{
	struct agent_request r = {.daemon = d, .mem = arena_new(), .ipc = ipc};
	struct msg_deliver_done done;
	enum ipc_result result;
	struct err err;
	bool ok;

	stream_set_timeout_ms(client, -1);
	result = ipc_receive(ipc, r.mem, &ipc_deliver_request, &r.msg, &err);
	ok = result == IPC_DONE;
	if (ok) {
		stream_set_timeout_ms(client, REQUEST_MS);
		arena_defer_close(r.mem, r.msg.message);
		r.handed_us = sys_now_us();
		ok = receive_recipients(&r, &err);
	}
	if (ok) {
		r.site = (struct dsn){.reason = STR_EMPTY};
		deliver(&r);
		answer_the_rest(&r);
		done = (struct msg_deliver_done){.deferred = r.deferred,
						 .site_dsn = str_from(r.site.status.text),
						 .site_reason =
							 str_head(r.site.reason, 4096),
						 .closing = d->draining};
		ok = !r.lost && ipc_send(ipc, &ipc_deliver_done, &done, &err) &&
		     ipc_flush(ipc, &err) && done.closing == 0;
	} else if (result == IPC_FAILED && !d->draining) {
		log_warning(d->log, "bad delivery request: %s", err.text);
	}
	arena_free(&r.mem);
	return ok;
}

void
agent_session(struct daemon *d, struct stream *client,
	      void (*deliver)(struct agent_request *r))
{
	struct ipc ipc;

	ipc_init(&ipc, client);
	/* What was accepted is served, and nothing is closed without a word while qmgr
	 * may be sending: it is qmgr that closes idle connections. */
	while (serve_one(d, &ipc, client, deliver))
		;
}
