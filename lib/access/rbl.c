/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists in the DNS: of addresses and of domains, to refuse (reject_rbl_client and its
 * kin) and to permit (permit_dnswl_client, permit_rhswl_client).
 *
 * A list that does not answer refuses nobody; it is logged. A white list that does not
 * answer makes a later refusal one for now.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/macros.h"

#include "config/expand.h"
#include "mail/address.h"
#include "mail/dsn.h"

#include "dns/reverse.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"
#include "access/template_internal.h"

enum listed { LISTED, NOT_LISTED, LIST_SILENT };

enum { REASON_MAX = 2048 };

/* One question to a list. */
struct rbl {
	struct eval *e;
	const struct zone *zone;
	struct str query;
	struct str what; /* that is listed, for the reply */
	struct speaker who;
};

static enum listed
ask_list(struct rbl *r)
{
	struct dns_answer answer;

	eval_ask(r->e, r->query, DNS_TYPE_A, false, &answer);
	switch (answer.result) {
	case DNS_FOUND:
		break;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return NOT_LISTED;
	case DNS_TRY_AGAIN:
	case DNS_FAIL:
	case DNS_MALFORMED:
		eval_warn(r->e,
			  PRI_STR ": RBL lookup error: Host or domain name not found. "
				  "Name service error for name=" PRI_STR " type=A: %s",
			  STR_ARG(r->query), STR_ARG(r->query),
			  dns_result_text(answer.result));
		return LIST_SILENT;
	}
	for (size_t i = 0; i < answer.n_records; i++) {
		if (answer.records[i].type == DNS_TYPE_A &&
		    zone_accepts(r->zone, answer.records[i].text))
			return LISTED;
	}
	return NOT_LISTED;
}

/* The list's own words: its TXT records. */
static struct str
ask_reason(struct rbl *r)
{
	struct buf *b = buf_new(r->e->mem, REASON_MAX);
	struct dns_answer answer;

	eval_ask(r->e, r->query, DNS_TYPE_TXT, false, &answer);
	for (size_t i = 0; answer.result == DNS_FOUND && i < answer.n_records; i++) {
		if (answer.records[i].type != DNS_TYPE_TXT)
			continue;
		if (b->len > 0)
			buf_add_c(b, " / ");
		buf_add(b, answer.records[i].text);
	}
	return str_printable(r->e->mem, buf_str(b), false);
}

/* "554 5.7.1 text" as the template gave it. */
static enum verdict
refuse_with(struct rbl *r, struct str reply)
{
	struct eval *e = r->e;
	int64_t code;
	struct str text;
	struct dsn_status status;
	struct str dsn;

	if (reply.len < 4 || !str_to_i64(str_head(reply, 3), 400, 599, &code) ||
	    !char_is_blank(reply.p[3])) {
		eval_warn(e, "rbl response code configuration error: " PRI_STR,
			  STR_ARG(reply));
		return eval_reject(e, ACCESS_POLICY, 450, "4.7.1", "Service unavailable");
	}
	status = dsn_status_split(code < 500 ? "4.7.1" : "5.7.1", str_skip(reply, 4),
				  &text);
	dsn = eval_fix_dsn(e, str_dup(e->mem, str_from(status.text)), r->who.class);
	return eval_reject(e, ACCESS_POLICY, (int)code, dsn.p, PRI_STR, STR_ARG(text));
}

static enum verdict
refuse(struct rbl *r)
{
	struct eval *e = r->e;
	struct template_values values = {
		.request = e->request,
		.hostname = e->rules->hostname,
		.allowed = e->rules->c.smtpd_expansion_filter,
		.rbl_code = e->rules->c.maps_rbl_reject_code,
		.rbl_class = str_from(r->who.class),
		.rbl_domain = r->zone->name,
		.rbl_what = r->what,
		.rbl_reason = ask_reason(r),
	};
	struct str template = e->rules->c.default_rbl_reply;
	struct maps_hit hit;
	struct str reply;
	struct err err;

	switch (maps_find(e->rules->rbl_replies, e->mem, r->zone->text, MAPS_ALL, &hit,
			  &err)) {
	case LOOKUP_FOUND:
		template = hit.value;
		break;
	case LOOKUP_FAILED:
		eval_warn(e, "%s", err.text);
		return eval_lookup_failed(e, r->who.name);
	case LOOKUP_ABSENT:
		break;
	}
	if (!access_template_expand(e->mem, template, &values, &reply, &err)) {
		eval_warn(e, "%s: bad rbl reply template: " PRI_STR, err.text,
			  STR_ARG(template));
		return eval_server_error(e);
	}
	return refuse_with(r, reply);
}

/* ---- the client's address ---- */

static bool
address_query(struct eval *e, const struct item *item, struct rbl *r)
{
	struct str name;

	*r = (struct rbl){.e = e, .zone = &item->zone};
	r->what = e->request->client_address;
	return eval_subject(e, SUBJECT_CLIENT, &name, &r->who) &&
	       dns_reverse_name(e->mem, r->what, item->zone.name, &r->query);
}

enum verdict
restrict_rbl_address(struct eval *e, const struct item *item)
{
	struct rbl r;

	return address_query(e, item, &r) && ask_list(&r) == LISTED ? refuse(&r) : GO_ON;
}

/* ---- names ---- */

static bool
is_numeric(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!char_is_digit(s.p[i]) && s.p[i] != '.')
			return false;
	}
	return true;
}

/* The domain of a name or an address; literals and unknown names are in no list. */
static bool
domain_query(struct eval *e, const struct item *item, struct rbl *r)
{
	struct str domain;
	struct str local;

	*r = (struct rbl){.e = e, .zone = &item->zone};
	if (!eval_subject(e, item->row->subject, &r->what, &r->who))
		return false;
	if (!address_split(r->what, &local, &domain))
		domain = r->what;
	while (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	if (domain.len == 0 || domain.p[0] == '[' || domain.p[0] == '#' ||
	    str_ieq(domain, STR("unknown")) || is_numeric(domain))
		return false;
	r->query = str_printf(e->mem, PRI_STR "." PRI_STR, STR_ARG(domain),
			      STR_ARG(item->zone.name));
	return true;
}

enum verdict
restrict_rbl_domain(struct eval *e, const struct item *item)
{
	struct rbl r;

	return domain_query(e, item, &r) && ask_list(&r) == LISTED ? refuse(&r) : GO_ON;
}

/* ---- white lists ---- */

/* A white list must not open the relay: it counts only for recipients that we take
 * anyway. */
static bool
may_permit(struct eval *e)
{
	const struct route *route;

	if (!e->request->has_recipient)
		return true;
	route = eval_resolve(e, false);
	return route != NULL && route->class != CLASS_DEFAULT && !route->is_routed;
}

static enum verdict
permit_listed(struct rbl *r, const struct item *item)
{
	struct speaker who = {eval_client_text(r->e->mem, r->e->request), "Client host"};

	switch (ask_list(r)) {
	case LISTED:
		return eval_permit(r->e, item->row->name, &who, STR_EMPTY);
	case NOT_LISTED:
		return GO_ON;
	case LIST_SILENT:
		break;
	}
	return eval_defer_if_reject(r->e, 450, "4.7.1",
				    "<" PRI_STR ">: %s rejected: Service unavailable",
				    STR_ARG(r->what), r->who.class);
}

enum verdict
restrict_dnswl_address(struct eval *e, const struct item *item)
{
	struct rbl r;

	return may_permit(e) && address_query(e, item, &r) ? permit_listed(&r, item)
							   : GO_ON;
}

enum verdict
restrict_dnswl_domain(struct eval *e, const struct item *item)
{
	struct rbl r;

	return may_permit(e) && domain_query(e, item, &r) ? permit_listed(&r, item)
							  : GO_ON;
}
