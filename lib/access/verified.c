/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reject_unverified_sender, reject_unverified_recipient: would mail for the address be
 * taken where it is delivered?
 */
#include "base/arena.h"
#include "base/macros.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

enum { REASON_MAX = 250 };

/* The parameters of one of the two. */
struct settings {
	int reject_code, defer_code;
	struct str reason; /* empty: the probe's */
	bool defers_now;
	const char *dsn;
};

static struct settings
settings_of(const struct access_rules *r, bool is_sender)
{
	if (is_sender)
		return (struct settings){
			r->c.unverified_sender_reject_code,
			r->c.unverified_sender_defer_code,
			r->c.unverified_sender_reject_reason,
			r->defer_unverified_sender,
			"4.1.7",
		};
	return (struct settings){
		r->c.unverified_recipient_reject_code,
		r->c.unverified_recipient_defer_code,
		r->c.unverified_recipient_reject_reason,
		r->defer_unverified_recipient,
		"4.1.1",
	};
}

static enum verdict
defer(struct eval *e, const struct settings *s, int code, const struct speaker *who,
      struct str text)
{
	if (s->defers_now)
		return eval_refuse(e, who, code, s->dsn, str_c(e->mem, text));
	return eval_defer_if_permit(e, code, s->dsn,
				    "<" PRI_STR ">: %s rejected: " PRI_STR,
				    STR_ARG(who->name), who->class, STR_ARG(text));
}

/* A code of 2xx means that the address is taken all the same. */
static enum verdict
obey(struct eval *e, const struct settings *s, const struct speaker *who,
     enum access_verified status, struct str reason)
{
	bool is_bad = status == ACCESS_UNDELIVERABLE;
	int code = is_bad ? s->reject_code : s->defer_code;
	bool is_hard = code / 100 == 5;
	struct str text = s->reason.len > 0 ? s->reason : reason;

	text = is_hard ? str_concat(e->mem, STR("undeliverable address: "), text)
		       : str_concat(e->mem, STR("unverified address: "),
				    str_head(text, REASON_MAX));
	if (e->step != NULL)
		e->step->text = text;
	if (status == ACCESS_DELIVERABLE || code / 100 == 2)
		return GO_ON;
	if (is_hard)
		return eval_refuse(e, who, code, s->dsn, str_c(e->mem, text));
	return defer(e, s, code, who, text);
}

enum verdict
restrict_unverified(struct eval *e, const struct item *item)
{
	const struct access_world *w = e->a->world;
	bool is_sender = item->row->subject == SUBJECT_SENDER;
	struct settings s = settings_of(e->rules, is_sender);
	enum access_verified status;
	struct str address;
	struct str reason;
	struct speaker who;

	if (!eval_subject(e, item->row->subject, &address, &who) || address.len == 0)
		return GO_ON;
	if (w->verify == NULL) {
		if (e->step != NULL) {
			e->step->verdict = ACCESS_VERDICT_SKIPPED;
			e->step->text = STR("the address would be verified now");
		}
		return GO_ON;
	}
	if (!w->verify(w->verify_arg, e->mem, address, &status, &reason))
		return defer(e, &s, 450, &who, STR("address verification problem"));
	return obey(e, &s, &who, status, reason);
}
