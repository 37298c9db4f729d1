/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "deliver/copy.h"
#include "deliver/delivered.h"
#include "ipc/deliver.h"

#include "arguments.h"
#include "pipe.h"

static void
answer(struct agent_request *r, struct agent_recipient *rcpt, const struct dsn *dsn)
{
	const struct pipe_agent *p = r->daemon->state;
	struct dsn d = *dsn;

	if (d.status.text[0] == '5' && p->common.soft_bounce)
		d.status = dsn_status_with_class(d.status, '4');
	agent_answer(r, rcpt,
		     d.status.text[0] == '2'   ? DELIVER_SENT
		     : d.status.text[0] == '5' ? DELIVER_BOUNCED
					       : DELIVER_DEFERRED,
		     str_from(r->daemon->service), 0, &d);
}

static void
answer_all(struct agent_request *r, const struct dsn *dsn)
{
	for (size_t i = 0; i < r->n_recipients; i++)
		answer(r, &r->recipients[i], dsn);
}

/* Headers of one recipient in a message of several. */
static bool
is_single(struct agent_request *r)
{
	const struct pipe_agent *p = r->daemon->state;
	struct dsn dsn;

	if (r->n_recipients <= 1 || p->attributes.single.len == 0)
		return true;
	log_warning(r->daemon->log,
		    "pipe flag `%c' requires %s_destination_recipient_limit = 1",
		    p->attributes.single.p[0], r->daemon->service);
	dsn = dsn_make(r->mem, "4.3.5", STR("mail system configuration error"));
	answer_all(r, &dsn);
	return false;
}

static bool
fits(struct agent_request *r)
{
	const struct pipe_agent *p = r->daemon->state;
	int64_t max = p->attributes.max_bytes;
	struct dsn dsn;

	if (max == 0 || r->msg.content_size <= max)
		return true;
	dsn = dsn_make(r->mem, "5.2.3", STR("message too large"));
	answer_all(r, &dsn);
	return false;
}

/* With flag D there is one recipient. */
static bool
is_new(struct agent_request *r)
{
	const struct pipe_agent *p = r->daemon->state;
	struct str address = r->recipients[0].msg.address;
	struct dsn dsn;

	if ((p->attributes.copy_flags & COPY_DELIVERED) == 0 ||
	    !delivered_before(r->mem, r->msg.message, r->msg.content_offset, address))
		return true;
	dsn = dsn_printf(r->mem, "5.4.6", "mail forwarding loop for " PRI_STR,
			 STR_ARG(address));
	answer_all(r, &dsn);
	return false;
}

static bool
make_words(struct agent_request *r, struct str *out, struct err *err)
{
	const struct pipe_agent *p = r->daemon->state;
	const struct msg_deliver_request *m = &r->msg;
	struct pipe_recipient *list =
		arena_alloc_array(r->mem, r->n_recipients, sizeof(*list));
	const struct pipe_envelope e = {
		.queue_id = m->queue_id,
		.sender = m->sender,
		.nexthop = m->nexthop,
		.envelope_id = m->envelope_id,
		.client_address = m->client_address,
		.client_helo = m->client_helo,
		.client_hostname = m->client_name,
		.client_port = m->client_port,
		.client_protocol = m->client_proto,
		.sasl_method = m->sasl_method,
		.sasl_sender = m->sasl_sender,
		.sasl_username = m->sasl_username,
		.size = m->content_size,
		.recipients = list,
		.n_recipients = r->n_recipients,
		.delimiters = str_c(r->mem, p->common.recipient_delimiter),
		.owner_request_special = p->owner_request_special,
	};

	for (size_t i = 0; i < r->n_recipients; i++) {
		const struct msg_deliver_recipient *rcpt = &r->recipients[i].msg;

		list[i].address = rcpt->address;
		list[i].original =
			rcpt->orig_address.len > 0 ? rcpt->orig_address : rcpt->address;
	}
	return pipe_arguments(r->mem, &p->attributes, &e, out, err);
}

static struct deliver_spec
make_spec(struct agent_request *r, struct str words)
{
	const struct pipe_agent *p = r->daemon->state;
	const struct pipe_attributes *a = &p->attributes;
	struct str sender = r->msg.sender.len > 0 ? r->msg.sender : a->null_sender;

	return (struct deliver_spec){
		.queue_id = r->msg.queue_id,
		.sender = sender,
		.null_sender = a->null_sender,
		.recipient = r->recipients[0].msg.address,
		.original = r->recipients[0].msg.orig_address,
		.delivered = r->recipients[0].msg.address,
		.argv = words,
		.eol = a->eol,
		.execution_directory = a->directory,
		.environment = p->environment,
		.service = str_from(r->daemon->service),
		.content_offset = r->msg.content_offset,
		.time_limit_s = p->time_limit_s,
		.copy_flags = a->copy_flags,
	};
}

static void
run(struct agent_request *r, struct str words, struct dsn *dsn)
{
	const struct pipe_agent *p = r->daemon->state;
	struct deliver_spec spec = make_spec(r, words);
	struct deliver_result result;

	helper_run(p->helper, r->mem, JOB_PIPE, &p->owner, &spec, r->msg.message,
		   &result);
	if (result.end == DELIVER_DONE)
		*dsn = result.dsn;
	else
		*dsn = dsn_make(r->mem, "4.3.0", STR("the delivering process died"));
	if (dsn->status.text[0] == '2')
		dsn->action = (p->attributes.flags & PIPE_FINAL) != 0 ? DSN_DELIVERED
								      : DSN_RELAYED;
}

void
deliver(struct agent_request *r)
{
	struct str words;
	struct err err;
	struct dsn dsn;

	r->filter = ((const struct pipe_agent *)r->daemon->state)->status_filter;
	if (r->n_recipients == 0 || !is_single(r) || !fits(r) || !is_new(r))
		return;
	if (!make_words(r, &words, &err)) {
		log_warning(r->daemon->log, "argv=: %s", err.text);
		dsn = dsn_make(r->mem, "4.3.5", STR("mail system configuration error"));
	} else if ((r->msg.flags & (DELIVER_VERIFY | DELIVER_MTA_VERIFY)) != 0) {
		dsn = dsn_printf(r->mem, "2.0.0", "delivers to command: %s", words.p);
	} else {
		run(r, words, &dsn);
	}
	answer_all(r, &dsn);
}
