/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "daemon/daemon.h"
#include "deliver/delivered.h"
#include "ipc/deliver.h"
#include "mail/address.h"
#include "rewrite/keys.h"
#include "table/maps.h"

#include "virtual.h"

/* One recipient. */
struct work {
	struct virtual_agent *v;
	struct agent_request *r;
	struct agent_recipient *rcpt;
	struct arena *mem;
	struct str address; /* lower case */
	struct dsn dsn;
};

static void
say(struct work *w, const char *status, struct str text)
{
	w->dsn = dsn_make(w->mem, status, text);
}

static void
misconfigured(struct work *w)
{
	say(w, "4.3.5", STR("mail system configuration error"));
}

/* False: dsn says why not. */
static bool
look_up(struct work *w, struct maps *maps, struct str *out)
{
	struct keys_hit hit;
	struct err err;

	switch (keys_find_address(w->mem, &w->v->rules, maps, w->address, KEYS_DOMAIN,
				  &hit, &err)) {
	case LOOKUP_FOUND:
		*out = hit.hit.value;
		return true;
	case LOOKUP_ABSENT:
		if (maps == w->v->mailboxes) {
			say(w, "5.1.1",
			    str_printf(w->mem, "unknown user: \"" PRI_STR "\"",
				       STR_ARG(w->address)));
			return false;
		}
		log_warning(w->v->daemon->log, "recipient " PRI_STR ": not found in %s",
			    STR_ARG(w->address), maps_title(maps));
		break;
	case LOOKUP_FAILED:
		log_warning(w->v->daemon->log, "%s", err.text);
		break;
	}
	misconfigured(w);
	return false;
}

static bool
look_up_id(struct work *w, struct maps *maps, const char *what, int64_t min, int64_t *out)
{
	struct str text;

	if (!look_up(w, maps, &text))
		return false;
	if (str_to_i64(str_trim(text), min, UINT32_MAX - 1, out))
		return true;
	log_warning(w->v->daemon->log, "recipient " PRI_STR ": bad %s " PRI_STR " in %s",
		    STR_ARG(w->address), what, STR_ARG(text), maps_title(maps));
	misconfigured(w);
	return false;
}

static struct deliver_spec
make_spec(struct work *w, struct str path)
{
	const struct virtual_agent *v = w->v;
	struct deliver_spec s = {
		.queue_id = w->r->msg.queue_id,
		.sender = w->r->msg.sender,
		.recipient = w->rcpt->msg.address,
		.original = w->rcpt->msg.orig_address,
		.delivered = w->rcpt->msg.address,
		.user = w->address,
		.path = path,
		.locks = v->config.virtual_mailbox_lock,
		.hostname = v->common.myhostname,
		.content_offset = w->r->msg.content_offset,
		.offset = w->rcpt->msg.offset,
		.arrival_us = w->r->msg.arrival_us,
		.max_bytes = v->config.virtual_mailbox_limit,
		.lock_attempts = v->local.deliver_lock_attempts,
		.lock_delay_s = v->local.deliver_lock_delay,
		.stale_lock_s = v->local.stale_lock_time,
		.flags = (v->local.strict_mailbox_ownership ? DELIVER_STRICT_OWNER : 0) |
			 ((w->r->msg.flags & (DELIVER_VERIFY | DELIVER_MTA_VERIFY)) != 0
				  ? DELIVER_CHECK_ONLY
				  : 0),
	};

	return s;
}

static void
run(struct work *w, struct str path, const struct job_owner *owner)
{
	struct deliver_spec spec = make_spec(w, path);
	struct deliver_result result;

	helper_run(w->v->helper, w->mem, JOB_MAILBOX, owner, &spec, w->r->msg.message,
		   &result);
	for (size_t i = 0; i < result.n_warnings; i++)
		log_warning(w->v->daemon->log, PRI_STR ": " PRI_STR,
			    STR_ARG(w->r->msg.queue_id), STR_ARG(result.warnings[i]));
	if (result.end == DELIVER_DONE)
		w->dsn = result.dsn;
	else
		say(w, "4.3.0", STR("the delivering process died"));
}

static void
deliver_mailbox(struct work *w)
{
	struct job_owner owner = {.uid = -1, .gid = -1};
	struct str where;

	if (delivered_before(w->mem, w->r->msg.message, w->r->msg.content_offset,
			     w->rcpt->msg.address)) {
		say(w, "5.4.6",
		    str_printf(w->mem, "mail forwarding loop for " PRI_STR,
			       STR_ARG(w->rcpt->msg.address)));
		return;
	}
	if (!look_up(w, w->v->mailboxes, &where) ||
	    !look_up_id(w, w->v->uids, "uid", w->v->config.virtual_minimum_uid,
			&owner.uid) ||
	    !look_up_id(w, w->v->gids, "gid", 1, &owner.gid))
		return;
	run(w,
	    str_printf(w->mem, PRI_STR "/" PRI_STR,
		       STR_ARG(w->v->config.virtual_mailbox_base), STR_ARG(where)),
	    &owner);
}

static void
deliver_one(struct agent_request *r, struct agent_recipient *rcpt)
{
	struct work w = {.v = r->daemon->state,
			 .r = r,
			 .rcpt = rcpt,
			 .mem = r->mem,
			 .address = str_lower(r->mem, rcpt->msg.address)};
	char class;

	deliver_mailbox(&w);
	class = w.dsn.status.text[0];
	if (class == '5' && w.v->common.soft_bounce)
		w.dsn.status = dsn_status_with_class(w.dsn.status, class = '4');
	agent_answer(r, rcpt,
		     class == '2'   ? DELIVER_SENT
		     : class == '5' ? DELIVER_BOUNCED
				    : DELIVER_DEFERRED,
		     r->msg.transport, 0, &w.dsn);
}

void
deliver(struct agent_request *r)
{
	const struct virtual_agent *v = r->daemon->state;

	r->filter = v->status_filter;
	for (size_t i = 0; i < r->n_recipients && !r->lost; i++) {
		if (!r->recipients[i].done)
			deliver_one(r, &r->recipients[i]);
	}
}
