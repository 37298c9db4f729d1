/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "agent/agent.h"
#include "agent/pass.h"
#include "daemon/daemon.h"
#include "deliver/delivered.h"
#include "ipc/deliver.h"

#include "work.h"

void
work_note(struct work *w, const struct dsn *dsn)
{
	static const struct str order = STR_INIT("254");
	struct dsn new = *dsn;

	if (new.status.text[0] == '5' && w->l->common.soft_bounce)
		new.status = dsn_status_with_class(new.status, '4');
	if (!w->any || str_index(order, new.status.text[0]) >
			       str_index(order, w->worst.status.text[0]))
		w->worst = new;
	w->any = true;
}

void
work_note_text(struct work *w, const char *status, struct str text)
{
	struct dsn dsn = dsn_make(w->mem, status, text);

	work_note(w, &dsn);
}

bool
work_lists(struct str list, const char *word)
{
	struct str item;

	while (str_token(&list, ", \t\r\n", &item)) {
		if (str_ieq(item, str_from(word)))
			return true;
	}
	return false;
}

bool
work_is_loop(struct work *w)
{
	return delivered_before(w->mem, w->r->msg.message, w->r->msg.content_offset,
				w->delivered);
}

static void
send_forwards(struct work *w)
{
	struct str delivered =
		work_lists(w->l->config.prepend_delivered_header, "forward")
			? w->delivered
			: STR_EMPTY;
	const struct forward_mail mail = {.sender = w->sender,
					  .delivered = delivered,
					  .recipients = w->forwards,
					  .n = w->n_forwards,
					  .is_list = w->is_list};
	struct str id;
	struct err err;

	if ((w->r->msg.flags & DELIVER_VERIFY) != 0) {
		work_note_text(w, "2.0.0", STR("forwards to other addresses"));
	} else if (forward(w->l, w->r, w->rcpt, &mail, &id, &err)) {
		work_note_text(w, "2.0.0",
			       str_printf(w->mem, "forwarded as " PRI_STR, STR_ARG(id)));
		/* Who asked to hear of success hears it from there. */
		w->rcpt->passed_on = !w->is_list;
	} else {
		log_warning(w->l->daemon->log, PRI_STR ": %s",
			    STR_ARG(w->r->msg.queue_id), err.text);
		work_note_text(w, "4.3.0", STR("unable to forward message"));
	}
}

static bool
waits(const struct work *w)
{
	return w->any && w->worst.status.text[0] == '4';
}

/* One who has another transport and nothing else: its answer is ours. */
static bool
pass_whole(struct work *w)
{
	if (w->any || w->n_forwards > 0 || w->n_passes != 1 || w->l->common.soft_bounce)
		return false;
	w->rcpt->msg.address = w->passes[0].address;
	w->rcpt->msg.orig_address = w->passes[0].original;
	agent_pass_one(w->r, w->rcpt, w->passes[0].transport, NULL);
	return true;
}

static void
pass_parts(struct work *w)
{
	const struct msg_deliver_recipient before = w->rcpt->msg;

	for (size_t i = 0; i < w->n_passes && !waits(w); i++) {
		struct dsn dsn;

		w->rcpt->msg.address = w->passes[i].address;
		w->rcpt->msg.orig_address = w->passes[i].original;
		agent_pass_one(w->r, w->rcpt, w->passes[i].transport, &dsn);
		work_note(w, &dsn);
	}
	w->rcpt->msg = before;
}

void
work_finish(struct work *w)
{
	char class;

	if (pass_whole(w))
		return;
	/* What waits is done again as a whole: then the rest is not sent twice. */
	pass_parts(w);
	if (w->n_forwards > 0 && !waits(w))
		send_forwards(w);
	if (!w->any)
		work_note_text(w, "4.3.5", STR("mail system configuration error"));
	class = w->worst.status.text[0];
	agent_answer(w->r, w->rcpt,
		     class == '2'   ? DELIVER_SENT
		     : class == '5' ? DELIVER_BOUNCED
				    : DELIVER_DEFERRED,
		     w->r->msg.transport, 0, &w->worst);
}
