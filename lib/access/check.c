/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which lists are asked when (postconf(5) smtpd_delay_reject): at RCPT those for client,
 * HELO and sender too, then the two for recipients, then what was deferred in case of a
 * permission, then the tables of addresses.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "rewrite/form.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"

/* ---- sessions ---- */

struct access *
access_new(struct arena *mem, const struct access_rules *rules,
	   const struct access_world *world)
{
	struct access *a = ARENA_NEW(mem, struct access);

	a->rules = rules;
	a->world = world;
	a->session = arena_new_child(mem);
	a->transaction = arena_new_child(mem);
	access_end_session(a);
	return a;
}

void
access_end_transaction(struct access *a)
{
	arena_reset(a->transaction);
	a->effects = (struct access_effects){.filter = STR_EMPTY, .redirect = STR_EMPTY};
	a->bcc = NULL;
	a->prepend = NULL;
}

void
access_end_session(struct access *a)
{
	access_end_transaction(a);
	arena_reset(a->session);
	a->pending_client = (struct pending){0};
	a->pending_helo = (struct pending){0};
	a->pending_sender = (struct pending){0};
}

const struct access_effects *
access_effects(const struct access *a)
{
	return &a->effects;
}

/* ---- one list ---- */

/* Refused; or to be thrown away in the end, so that nothing else matters. */
static bool
ends(const struct eval *e, enum verdict verdict)
{
	return verdict == REJECT || verdict == HANG_UP || e->a->effects.discard;
}

static void
postpone(struct eval *e, enum list_id id)
{
	const struct access_world *w = e->a->world;
	const struct access_step step = {
		.list = e->rules->lists[id].name,
		.restriction = STR_EMPTY,
		.argument = STR_EMPTY,
		.verdict = ACCESS_VERDICT_POSTPONED,
		.text = STR("smtpd_delay_reject = yes"),
		.key = STR_EMPTY,
		.value = STR_EMPTY,
	};

	if (w->step != NULL && e->rules->lists[id].n > 0)
		w->step(w->step_arg, &step);
}

static enum verdict
run(struct eval *e, enum list_id id, struct str name, const char *class,
    enum subject natural)
{
	e->list = e->rules->lists[id].name;
	e->speaker = (struct speaker){name, class};
	e->natural = natural;
	e->depth = 0;
	e->warn = false;
	return eval_list(e, &e->rules->lists[id]);
}

static struct pending
remember(struct eval *e, const struct pending *p)
{
	struct pending kept = *p;

	if (kept.is_active) {
		kept.dsn = str_dup(e->a->session, kept.dsn);
		kept.text = str_dup(e->a->session, kept.text);
	}
	return kept;
}

static enum verdict
check_client(struct eval *e)
{
	e->if_reject.is_active = false;
	return run(e, LIST_CLIENT, eval_client_text(e->mem, e->request), "Client host",
		   SUBJECT_CLIENT);
}

static enum verdict
check_helo(struct eval *e)
{
	e->if_reject.is_active = false;
	if (!e->request->has_helo)
		return GO_ON;
	return run(e, LIST_HELO, e->request->helo, "Helo command", SUBJECT_HELO);
}

/* A step of ours that stands in no list. */
static enum verdict
check_unlisted(struct eval *e, bool is_sender)
{
	const struct access_world *w = e->a->world;
	struct access_step step = {
		.list = is_sender ? "smtpd_reject_unlisted_sender"
				  : "smtpd_reject_unlisted_recipient",
		.restriction = is_sender ? STR("reject_unlisted_sender")
					 : STR("reject_unlisted_recipient"),
		.argument = STR_EMPTY,
		.text = STR_EMPTY,
		.key = STR_EMPTY,
		.value = STR_EMPTY,
	};
	enum verdict verdict;

	e->step = &step;
	verdict = eval_unlisted(e, is_sender);
	e->step = NULL;
	if (w->step != NULL)
		w->step(w->step_arg, &step);
	return verdict;
}

static enum verdict
check_sender(struct eval *e)
{
	enum verdict verdict;

	e->if_reject.is_active = false;
	if (!e->request->has_sender)
		return GO_ON;
	verdict = run(e, LIST_SENDER, e->request->sender, access_class_sender,
		      SUBJECT_SENDER);
	if (ends(e, verdict) || e->sender_checked ||
	    !e->rules->c.smtpd_reject_unlisted_sender || e->request->sender.len == 0)
		return verdict;
	return check_unlisted(e, true);
}

/* What was noted in case of a permission. */
static enum verdict
refuse_pending(struct eval *e)
{
	struct pending p = e->if_permit;

	if (!p.is_active)
		return GO_ON;
	e->if_permit.is_active = false;
	return eval_reject(e, p.class, p.code, p.dsn.p, PRI_STR, STR_ARG(p.text));
}

/* ---- phases ---- */

static enum verdict
phase_connect(struct eval *e)
{
	enum verdict verdict;

	if (e->rules->c.smtpd_delay_reject) {
		postpone(e, LIST_CLIENT);
		return GO_ON;
	}
	verdict = check_client(e);
	e->a->pending_client = remember(e, &e->if_permit);
	return verdict;
}

static enum verdict
phase_helo(struct eval *e)
{
	enum verdict verdict;

	if (e->rules->c.smtpd_delay_reject) {
		postpone(e, LIST_HELO);
		return GO_ON;
	}
	e->if_permit = e->a->pending_client;
	verdict = check_helo(e);
	e->a->pending_helo = remember(e, &e->if_permit);
	return verdict;
}

/* Later lists begin with what the lists before have noted; without HELO that is the
 * client's. */
static void
take_pending(struct eval *e, const struct pending *p)
{
	if (!e->rules->c.smtpd_delay_reject)
		e->if_permit = p->is_active ? *p : e->a->pending_client;
}

static enum verdict
phase_mail(struct eval *e)
{
	enum verdict verdict;

	if (e->rules->c.smtpd_delay_reject) {
		postpone(e, LIST_SENDER);
		return GO_ON;
	}
	take_pending(e, &e->a->pending_helo);
	verdict = check_sender(e);
	e->a->pending_sender = remember(e, &e->if_permit);
	return verdict;
}

static enum verdict
check_recipient(struct eval *e)
{
	static const enum list_id ids[] = {LIST_RELAY, LIST_RECIPIENT, LIST_RELAY};
	size_t first = e->rules->c.smtpd_relay_before_recipient_restrictions ? 0 : 1;
	enum verdict verdict = GO_ON;

	e->if_reject.is_active = false;
	for (size_t i = first; i < first + 2 && !ends(e, verdict); i++)
		verdict = run(e, ids[i], e->request->recipient, access_class_recipient,
			      SUBJECT_RECIPIENT);
	return verdict;
}

static enum verdict
phase_rcpt(struct eval *e)
{
	enum verdict verdict = GO_ON;

	if (e->rules->c.smtpd_delay_reject) {
		verdict = check_client(e);
		if (!ends(e, verdict))
			verdict = check_helo(e);
		if (!ends(e, verdict))
			verdict = check_sender(e);
	} else {
		take_pending(e, &e->a->pending_sender);
	}
	if (!ends(e, verdict))
		verdict = check_recipient(e);
	if (!ends(e, verdict))
		verdict = refuse_pending(e);
	if (ends(e, verdict) || e->recipient_checked ||
	    !e->rules->c.smtpd_reject_unlisted_recipient)
		return verdict;
	return check_unlisted(e, false);
}

static enum verdict
phase_content(struct eval *e, enum list_id id, const char *name, const char *class)
{
	enum verdict verdict = run(e, id, str_from(name), class, SUBJECT_NONE);

	return ends(e, verdict) ? verdict : refuse_pending(e);
}

static enum verdict
phase_etrn(struct eval *e)
{
	enum verdict verdict = GO_ON;

	if (e->rules->c.smtpd_delay_reject) {
		verdict = check_client(e);
		if (!ends(e, verdict))
			verdict = check_helo(e);
	} else {
		take_pending(e, &e->a->pending_helo);
	}
	e->if_reject.is_active = false;
	if (!ends(e, verdict))
		verdict = run(e, LIST_ETRN, e->request->etrn_domain, "Etrn command",
			      SUBJECT_ETRN);
	return ends(e, verdict) ? verdict : refuse_pending(e);
}

/* Whoever writes to the bare postmaster is heard (RFC 5321 section 4.5.1). */
static bool
is_exempt(const struct eval *e)
{
	return (e->phase == ACCESS_RCPT || e->phase == ACCESS_VRFY) &&
	       str_ieq(e->request->recipient, STR("postmaster"));
}

static enum verdict
run_phase(struct eval *e)
{
	switch (e->phase) {
	case ACCESS_CONNECT:
		return phase_connect(e);
	case ACCESS_HELO:
	case ACCESS_EHLO:
		return phase_helo(e);
	case ACCESS_MAIL:
		return phase_mail(e);
	case ACCESS_RCPT:
	case ACCESS_VRFY:
		return phase_rcpt(e);
	case ACCESS_DATA:
		return phase_content(e, LIST_DATA, "DATA", "Data command");
	case ACCESS_END_OF_MESSAGE:
		return phase_content(e, LIST_END_OF_DATA, "END-OF-MESSAGE",
				     "End-of-data");
	case ACCESS_UNKNOWN:
		break;
	case ACCESS_ETRN:
		return phase_etrn(e);
	}
	return GO_ON;
}

static struct eval
begin(struct access *a, struct arena *mem, enum access_phase phase,
      const struct access_request *request, struct access_answer *out)
{
	*out = (struct access_answer){.result = ACCESS_OK, .reply = STR_EMPTY};
	return (struct eval){.a = a,
			     .rules = a->rules,
			     .mem = mem,
			     .request = request,
			     .phase = phase,
			     .out = out,
			     .list = "",
			     .speaker = {STR_EMPTY, ""}};
}

void
access_check(struct access *a, struct arena *mem, enum access_phase phase,
	     const struct access_request *request, struct access_answer *out)
{
	struct eval e = begin(a, mem, phase, request, out);
	enum verdict verdict;

	/* What is thrown away in the end need not be looked at any more. */
	if (request->is_local || is_exempt(&e) || a->effects.discard)
		return;
	verdict = run_phase(&e);
	if (verdict != REJECT && verdict != HANG_UP)
		*out = (struct access_answer){.result = ACCESS_OK, .reply = STR_EMPTY};
}

/* ---- addresses ---- */

void
access_check_address(struct access *a, struct arena *mem,
		     const struct access_request *request, bool is_sender,
		     struct access_answer *out)
{
	struct str address = is_sender ? request->sender : request->recipient;
	struct eval e =
		begin(a, mem, is_sender ? ACCESS_MAIL : ACCESS_RCPT, request, out);
	const struct route *route;
	struct str reply;

	if (address.len == 0)
		return;
	route = eval_resolve(&e, is_sender);
	if (route != NULL &&
	    (is_sender ? e.sender.state : e.recipient.state) == RESOLVED_OK)
		return;
	if (route == NULL)
		reply = STR("451 4.3.0 Temporary lookup error");
	else
		reply = is_sender ? STR("501 5.1.7 Bad sender address syntax")
				  : STR("501 5.1.3 Bad recipient address syntax");
	reply = access_soften(a->rules, mem, reply);
	*out = (struct access_answer){
		.result = ACCESS_REFUSED,
		.code = route == NULL           ? 451
			: a->rules->soft_bounce ? 401
						: 501,
		.reply = reply,
		.class = route == NULL ? ACCESS_RESOURCE : ACCESS_POLICY,
	};
}

/* ---- the rest ---- */

struct str
access_soften(const struct access_rules *rules, struct arena *mem, struct str reply)
{
	char *copy;
	size_t at = 0;

	if (!rules->soft_bounce || reply.len < 4 || reply.p[0] != '5')
		return reply;
	copy = str_c(mem, reply);
	while (at + 4 < reply.len) {
		if (copy[at] == '5')
			copy[at] = '4';
		if (copy[at + 4] == '5' && at + 5 < reply.len && copy[at + 5] == '.')
			copy[at + 4] = '4';
		at += 1 + str_index(str_skip(reply, at), '\n');
	}
	return str_from_mem(copy, reply.len);
}

bool
access_is_mynetworks(const struct access_rules *rules,
		     const struct access_request *request)
{
	struct err ignored;

	return match_find_host(rules->mynetworks, request->client_name,
			       request->client_address, NULL, &ignored) == MATCH_YES;
}

/* A table (after the old word check_address_map or alone) needs only have the address. */
static bool
rewrites(struct eval *e, const struct item *item)
{
	struct str value;
	struct err ignored;

	if (item->is_table)
		return table_lookup(item->table, e->mem, e->request->client_address,
				    &value, &ignored) == LOOKUP_FOUND;
	return item->row != NULL && item->bad == NULL &&
	       item->row->run(e, item) == PERMIT;
}

bool
access_rewrites_local(struct access *a, struct arena *mem,
		      const struct access_request *request)
{
	const struct item_list *list = &a->rules->lists[LIST_REWRITE];
	struct access_answer answer;
	struct eval e = begin(a, mem, ACCESS_MAIL, request, &answer);

	if (request->is_local)
		return true;
	e.is_quiet = true;
	e.list = list->name;
	e.speaker = (struct speaker){eval_client_text(mem, request), "Client host"};
	for (size_t i = 0; i < list->n; i++) {
		if (rewrites(&e, &list->items[i]))
			return true;
	}
	return false;
}
