/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts: how a refusal is worded, softened, turned into another one, logged; and how a
 * list is walked.
 */
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/dsn.h"
#include "rewrite/form.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

const char access_class_sender[] = "Sender address";
const char access_class_recipient[] = "Recipient address";

/* ---- saying ---- */

static void
say(struct eval *e, enum log_level level, struct str text)
{
	const struct access_world *w = e->a->world;

	if (w->log != NULL && !e->is_quiet)
		w->log(w->log_arg, level, text);
}

void
eval_log(struct eval *e, const char *what, struct str text)
{
	say(e, LOG_LEVEL_INFO, access_log_line(e->mem, e->request, e->phase, what, text));
}

void
eval_warn(struct eval *e, const char *format, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, format);
	text = str_vprintf(e->mem, format, ap);
	va_end(ap);
	say(e, LOG_LEVEL_WARNING, text);
}

/* ---- refusals ---- */

static bool
is_reply_code(int code)
{
	return code >= 400 && code <= 599;
}

/* "554 5.7.1 text"; the first digits agree, soft_bounce is done, not too long. */
static struct str
make_reply(struct eval *e, int code, struct str dsn, struct str text)
{
	struct str reply;

	reply = str_printf(e->mem, "%03d %c" PRI_STR " " PRI_STR, code, '0' + code / 100,
			   STR_ARG(str_skip(dsn, 1)), STR_ARG(text));
	reply = str_printable(e->mem, reply, e->rules->rewrite->utf8);
	return str_head(reply, ACCESS_REPLY_MAX);
}

static enum verdict
reject(struct eval *e, enum access_class class, int code, struct str dsn, struct str text)
{
	if (!is_reply_code(code)) {
		eval_warn(e,
			  "SMTP reply code configuration error: %d 4" PRI_STR " " PRI_STR,
			  code, STR_ARG(str_skip(dsn, 1)), STR_ARG(text));
		code = 450;
		dsn = STR("4.7.1");
		text = STR("Service unavailable");
	}
	if (!e->warn && e->if_reject.is_active && code >= 500) {
		struct pending p = e->if_reject;

		e->if_reject.is_active = false;
		return reject(e, p.class, p.code, p.dsn, p.text);
	}
	if (e->rules->soft_bounce && code >= 500)
		code -= 100;
	text = make_reply(e, code, dsn, text);
	if (e->step != NULL)
		e->step->text = text;
	if (e->warn && class == ACCESS_POLICY) {
		eval_log(e, "reject_warning", text);
		if (e->step != NULL)
			e->step->verdict = ACCESS_VERDICT_WARNED;
		return GO_ON;
	}
	eval_log(e, "reject", text);
	if (e->step != NULL)
		e->step->verdict = class == ACCESS_SOFTWARE ? ACCESS_VERDICT_ERROR
							    : ACCESS_VERDICT_REJECT;
	*e->out = (struct access_answer){
		.result = ACCESS_REFUSED,
		.code = code,
		.closes = code == 421 || code == 521,
		.reply = text,
		.class = class,
	};
	return REJECT;
}

enum verdict
eval_reject(struct eval *e, enum access_class class, int code, const char *dsn,
	    const char *format, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, format);
	text = str_vprintf(e->mem, format, ap);
	va_end(ap);
	return reject(e, class, code, str_from(dsn), text);
}

enum verdict
eval_refuse(struct eval *e, const struct speaker *who, int code, const char *dsn,
	    const char *text)
{
	return eval_reject(e, ACCESS_POLICY, code, dsn, "<" PRI_STR ">: %s rejected: %s",
			   STR_ARG(who->name), who->class, text);
}

enum verdict
eval_server_error(struct eval *e)
{
	return eval_reject(e, ACCESS_SOFTWARE, 451, "4.3.5",
			   "Server configuration error");
}

enum verdict
eval_lookup_failed(struct eval *e, struct str name)
{
	return eval_reject(e, ACCESS_DATA_ERROR, 451, "4.3.0",
			   "<" PRI_STR ">: Temporary lookup failure", STR_ARG(name));
}

/* ---- later ---- */

/* The first one stays. */
static void
note(struct eval *e, struct pending *p, int code, const char *dsn, struct str text)
{
	if (e->step != NULL) {
		e->step->verdict = ACCESS_VERDICT_LATER;
		e->step->text = text;
	}
	if (p->is_active)
		return;
	*p = (struct pending){
		.is_active = true,
		.code = code,
		.class = ACCESS_POLICY,
		.dsn = str_dup(e->mem, str_from(dsn)),
		.text = text,
	};
}

enum verdict
eval_defer_if_permit(struct eval *e, int code, const char *dsn, const char *format, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, format);
	text = str_vprintf(e->mem, format, ap);
	va_end(ap);
	if (e->warn)
		return reject(e, ACCESS_POLICY, code, str_from(dsn), text);
	note(e, &e->if_permit, code, dsn, text);
	return GO_ON;
}

enum verdict
eval_defer_if_reject(struct eval *e, int code, const char *dsn, const char *format, ...)
{
	va_list ap;
	struct str text;

	va_start(ap, format);
	text = str_vprintf(e->mem, format, ap);
	va_end(ap);
	note(e, &e->if_reject, code, dsn, text);
	return GO_ON;
}

enum verdict
eval_tempfail(struct eval *e, bool now, const struct speaker *who, const char *dsn,
	      const char *text)
{
	if (now)
		return eval_refuse(e, who, 450, dsn, text);
	return eval_defer_if_permit(e, 450, dsn, "<" PRI_STR ">: %s rejected: %s",
				    STR_ARG(who->name), who->class, text);
}

/* ---- permissions ---- */

enum verdict
eval_permit(struct eval *e, struct str action, const struct speaker *who,
	    struct str table)
{
	struct err ignored;

	/* Overruled anyway: not worth a line. */
	if (!e->if_permit.is_active && !match_is_empty(e->rules->log_permit) &&
	    match_find(e->rules->log_permit, action, NULL, &ignored) == MATCH_YES)
		eval_log(e, "permit",
			 str_printf(e->mem,
				    "action=" PRI_STR " for %s=" PRI_STR " " PRI_STR,
				    STR_ARG(action), who->class, STR_ARG(who->name),
				    STR_ARG(table)));
	return PERMIT;
}

/* ---- status codes ---- */

/* From X.1.N to X.1.M, by RFC 3463's meaning; beyond the end: X.1.0. */
static struct str
translate(struct arena *mem, struct str dsn, const unsigned *table, size_t n)
{
	int64_t detail;
	unsigned other = 0;

	if (str_to_i64(str_skip(dsn, 4), 0, 999, &detail) && (size_t)detail < n)
		other = table[detail];
	return str_printf(mem, "%c.1.%u", dsn.p[0], other);
}

struct str
eval_fix_dsn(struct eval *e, struct str dsn, const char *class)
{
	static const unsigned sender[] = {0, 7, 8, 7, 7, 0, 7, 7, 8};
	static const unsigned recipient[] = {0, 1, 2, 3, 4, 5, 6, 3, 2};
	struct str fixed;

	if (dsn.len < 5 || !str_starts(str_skip(dsn, 1), STR(".1.")))
		return dsn;
	if (class == access_class_sender)
		fixed = translate(e->mem, dsn, sender, ARRAY_LEN(sender));
	else if (class == access_class_recipient)
		fixed = translate(e->mem, dsn, recipient, ARRAY_LEN(recipient));
	else
		fixed = str_printf(e->mem, "%c.0.0", dsn.p[0]);
	if (!str_eq(fixed, dsn))
		say(e, LOG_LEVEL_INFO,
		    str_printf(e->mem,
			       "mapping DSN status " PRI_STR " into %s status " PRI_STR,
			       STR_ARG(dsn), class, STR_ARG(fixed)));
	return fixed;
}

/* ---- subjects ---- */

static bool
not_known(struct eval *e, const char *what)
{
	if (e->step != NULL) {
		e->step->verdict = ACCESS_VERDICT_SKIPPED;
		e->step->text = str_from(what);
	}
	return false;
}

bool
eval_subject(struct eval *e, enum subject subject, struct str *value_out,
	     struct speaker *speaker_out)
{
	const struct access_request *r = e->request;

	switch (subject) {
	case SUBJECT_NONE:
		return not_known(e, "");
	case SUBJECT_CLIENT:
		*value_out = r->client_name;
		*speaker_out =
			(struct speaker){eval_client_text(e->mem, r), "Client host"};
		return true;
	case SUBJECT_REVERSE:
		*value_out = r->client_reverse_name;
		*speaker_out = (struct speaker){r->client_reverse_name,
						"Unverified Client host"};
		return true;
	case SUBJECT_HELO:
		*value_out = r->helo;
		*speaker_out = (struct speaker){r->helo, "Helo command"};
		return r->has_helo || not_known(e, "no HELO yet");
	case SUBJECT_SENDER:
		*value_out = r->sender;
		*speaker_out = (struct speaker){r->sender, access_class_sender};
		return r->has_sender || not_known(e, "no sender yet");
	case SUBJECT_RECIPIENT:
		*value_out = r->recipient;
		*speaker_out = (struct speaker){r->recipient, access_class_recipient};
		return r->has_recipient || not_known(e, "no single recipient");
	case SUBJECT_ETRN:
		*value_out = r->etrn_domain;
		*speaker_out = (struct speaker){r->etrn_domain, "Etrn command"};
		return e->phase == ACCESS_ETRN || not_known(e, "not at ETRN");
	}
	return false;
}

/* ---- the DNS, routes ---- */

void
eval_ask(struct eval *e, struct str name, enum dns_type type, bool native,
	 struct dns_answer *answer_out)
{
	const struct dns_asker *dns = &e->a->world->dns;

	*answer_out = (struct dns_answer){
		.result = DNS_TRY_AGAIN, .canonical = STR_EMPTY, .why = STR_EMPTY};
	if (name.len == 0 || name.len > DNS_NAME_MAX)
		answer_out->result = DNS_NXDOMAIN;
	else if (dns->ask != NULL)
		dns->ask(dns->arg, e->mem, name, type, native, answer_out);
}

const struct route *
eval_resolve(struct eval *e, bool is_sender)
{
	struct resolved *r = is_sender ? &e->sender : &e->recipient;
	const struct rewrite_rules *rewrite = e->rules->rewrite;

	if (r->state == RESOLVED_NOT_YET) {
		struct str form = rewrite_form(e->mem, rewrite,
					       is_sender ? e->request->sender
							 : e->request->recipient);
		struct str sender = is_sender ? STR_EMPTY : e->request->sender;
		struct err err;

		switch (resolve_address(e->mem, rewrite, sender, form, &r->route, &err)) {
		case RESOLVE_OK:
			r->state = RESOLVED_OK;
			break;
		case RESOLVE_BAD: /* refused before, by access_check_address() */
			r->state = RESOLVED_BAD;
			r->route = (struct route){.recipient = form,
						  .transport = STR_EMPTY,
						  .nexthop = STR_EMPTY,
						  .class = CLASS_DEFAULT};
			break;
		case RESOLVE_TEMP:
			r->state = RESOLVED_FAILED;
			eval_warn(e, "%s", err.text);
			break;
		}
	}
	return r->state == RESOLVED_FAILED ? NULL : &r->route;
}

/* ---- lists ---- */

static void
tell(struct eval *e, const struct access_step *step)
{
	const struct access_world *w = e->a->world;

	if (w->step != NULL && !e->is_quiet)
		w->step(w->step_arg, step);
}

/* The row of the restriction comes before those of the list that it stands for. */
enum verdict
eval_inner_list(struct eval *e, const struct item_list *list)
{
	const char *outer = e->list;
	struct access_step *step = e->step;
	enum verdict verdict;

	if (step != NULL) {
		step->verdict = ACCESS_VERDICT_LIST;
		tell(e, step);
	}
	e->list = list->name;
	e->step = NULL;
	e->depth++;
	verdict = eval_list(e, list);
	e->depth--;
	e->list = outer;
	e->step = step;
	return verdict;
}

static const char *
natural_access(enum subject subject)
{
	switch (subject) {
	case SUBJECT_CLIENT:
		return "check_client_access";
	case SUBJECT_HELO:
		return "check_helo_access";
	case SUBJECT_SENDER:
		return "check_sender_access";
	case SUBJECT_RECIPIENT:
		return "check_recipient_access";
	case SUBJECT_ETRN:
		return "check_etrn_access";
	case SUBJECT_REVERSE:
	case SUBJECT_NONE:
		break;
	}
	return NULL;
}

static enum verdict
run_bare_table(struct eval *e, const struct item *item)
{
	const char *name = natural_access(e->natural);
	struct item full = *item;

	if (name == NULL) {
		eval_warn(e,
			  "specify one of (check_client_access, "
			  "check_reverse_client_hostname_access, check_helo_access, "
			  "check_sender_access, check_recipient_access, "
			  "check_etrn_access) before %s restriction \"" PRI_STR "\"",
			  e->speaker.class, STR_ARG(item->name));
		return eval_server_error(e);
	}
	full.row = restriction_find(str_from(name));
	e->step->restriction = full.row->name;
	return full.row->run(e, &full);
}

static enum verdict
run_item(struct eval *e, const struct item *item)
{
	const struct item_list *class;

	if (item->bad != NULL) {
		eval_warn(e, "%s", item->bad);
		if (!item->bad_is_skip)
			return eval_server_error(e);
		e->step->verdict = ACCESS_VERDICT_ERROR;
		e->step->text = str_from(item->bad);
		return GO_ON;
	}
	if (item->row != NULL)
		return item->row->run(e, item);
	if (item->is_table)
		return run_bare_table(e, item);
	class = class_find(e->rules, item->name);
	if (class != NULL && e->depth < ACCESS_DEPTH_MAX)
		return eval_inner_list(e, class);
	if (class != NULL)
		eval_warn(e,
			  "restriction class " PRI_STR " causes unreasonable recursion",
			  STR_ARG(item->name));
	else
		eval_warn(e, "unknown smtpd restriction: \"" PRI_STR "\"",
			  STR_ARG(item->name));
	return eval_server_error(e);
}

static enum access_verdict
as_step(enum verdict verdict)
{
	switch (verdict) {
	case GO_ON:
		return ACCESS_VERDICT_NONE;
	case PERMIT:
		return ACCESS_VERDICT_PERMIT;
	case REJECT:
	case HANG_UP:
		break;
	}
	return ACCESS_VERDICT_REJECT;
}

static enum verdict
run_step(struct eval *e, const struct item *item)
{
	struct access_step step = {
		.list = e->list,
		.depth = e->depth,
		.restriction = item->name,
		.argument = item->is_table ? item->name : item->argument,
		.text = STR_EMPTY,
		.key = STR_EMPTY,
		.value = STR_EMPTY,
	};
	enum verdict verdict;

	e->step = &step;
	verdict = run_item(e, item);
	e->step = NULL;
	if (step.verdict == ACCESS_VERDICT_LIST)
		return verdict;
	if (step.verdict == ACCESS_VERDICT_NONE || verdict == PERMIT)
		step.verdict = as_step(verdict);
	tell(e, &step);
	return verdict;
}

enum verdict
eval_list(struct eval *e, const struct item_list *list)
{
	enum verdict verdict = GO_ON;
	bool outer = e->warn;

	for (size_t i = 0; i < list->n && verdict == GO_ON; i++) {
		e->warn = outer || list->items[i].warn;
		verdict = run_step(e, &list->items[i]);
	}
	e->warn = outer;
	return verdict;
}
