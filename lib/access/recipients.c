/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restrictions on where mail would go: whether we are responsible for the recipient, and
 * whether it exists.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "mail/dsn.h"
#include "rewrite/keys.h"
#include "rewrite/rules.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

enum destination { OURS, NOT_OURS, DESTINATION_FAILED, DESTINATION_SKIPPED };

/* Ours: one of our domains or relay_domains, and no route to elsewhere in the local part.
 */
static enum destination
find_destination(struct eval *e, struct speaker *who)
{
	struct str address;
	const struct route *route;

	if (!eval_subject(e, SUBJECT_RECIPIENT, &address, who))
		return DESTINATION_SKIPPED;
	route = eval_resolve(e, false);
	if (route == NULL)
		return DESTINATION_FAILED;
	if (e->step != NULL)
		e->step->text = str_printf(e->mem, "domain class: %s%s",
					   address_class_name(route->class),
					   route->is_routed ? ", with a route" : "");
	return route->class != CLASS_DEFAULT && !route->is_routed ? OURS : NOT_OURS;
}

enum verdict
restrict_permit_destination(struct eval *e, const struct item *item)
{
	struct speaker who;

	switch (find_destination(e, &who)) {
	case OURS:
		return eval_permit(e, item->row->name, &who, STR_EMPTY);
	case DESTINATION_FAILED:
		return eval_lookup_failed(e, e->request->recipient);
	case NOT_OURS:
	case DESTINATION_SKIPPED:
		break;
	}
	return GO_ON;
}

static enum verdict
refuse_others(struct eval *e, int code, const char *dsn)
{
	struct speaker who;

	switch (find_destination(e, &who)) {
	case OURS:
	case DESTINATION_SKIPPED:
		return GO_ON;
	case DESTINATION_FAILED:
		return eval_lookup_failed(e, e->request->recipient);
	case NOT_OURS:
		break;
	}
	return eval_reject(e, ACCESS_POLICY, code, dsn,
			   "<" PRI_STR ">: Relay access denied", STR_ARG(who.name));
}

enum verdict
restrict_reject_destination(struct eval *e, const struct item *item)
{
	(void)item;
	return refuse_others(e, e->rules->c.relay_domains_reject_code, "5.7.1");
}

enum verdict
restrict_defer_destination(struct eval *e, const struct item *item)
{
	(void)item;
	return refuse_others(e, 400 + e->rules->c.relay_domains_reject_code % 100,
			     "4.7.1");
}

/* The old one decides either way. */
enum verdict
restrict_check_destination(struct eval *e, const struct item *item)
{
	struct speaker who;

	switch (find_destination(e, &who)) {
	case OURS:
		return eval_permit(e, item->row->name, &who, STR_EMPTY);
	case DESTINATION_SKIPPED:
		return GO_ON;
	case DESTINATION_FAILED:
		return eval_lookup_failed(e, e->request->recipient);
	case NOT_OURS:
		break;
	}
	return eval_refuse(e, &who, e->rules->c.relay_domains_reject_code, "5.7.1",
			   "Relay access denied");
}

/* ---- unlisted addresses ---- */

/* What is being looked for. */
struct listing {
	struct eval *e;
	struct str address; /* in its final form */
	struct speaker who;
	bool is_sender;
	bool failed;
};

static bool
is_listed(struct listing *l, struct maps *maps)
{
	struct keys_hit hit;
	struct err err;

	if (l->failed)
		return false;
	switch (keys_find_address(l->e->mem, l->e->rules->rewrite, maps, l->address,
				  KEYS_USER | KEYS_DOMAIN, &hit, &err)) {
	case LOOKUP_FOUND:
		return true;
	case LOOKUP_ABSENT:
		return false;
	case LOOKUP_FAILED:
		break;
	}
	eval_warn(l->e, "%s", err.text);
	l->failed = true;
	return false;
}

/* What another address stands for is never unknown. */
static bool
is_mapped(struct listing *l)
{
	const struct rewrite_rules *r = l->e->rules->rewrite;

	return is_listed(l, r->recipient_canonical) ||
	       (l->is_sender && is_listed(l, r->sender_canonical)) ||
	       is_listed(l, r->canonical) || is_listed(l, r->virtual_alias);
}

/* Names that this system itself makes and takes. */
static bool
is_system_name(const struct listing *l)
{
	const struct str names[] = {l->e->rules->rewrite->double_bounce,
				    STR("postmaster"), STR("mailer-daemon")};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_istarts(l->address, names[i]) && l->address.len > names[i].len &&
		    l->address.p[names[i].len] == '@')
			return true;
	}
	return false;
}

/* error: and retry: say what is wrong with the address. */
static enum verdict
refuse_transport(struct listing *l, const struct route *route, bool soft)
{
	struct eval *e = l->e;
	int hard_code = route->class == CLASS_VIRTUAL_ALIAS
				? e->rules->c.unknown_virtual_alias_reject_code
				: 550;
	struct str reason;
	struct dsn_status status =
		dsn_status_split(soft ? "4.0.0" : "5.0.0", route->nexthop, &reason);
	struct str dsn =
		eval_fix_dsn(e, str_dup(e->mem, str_from(status.text)), l->who.class);

	return eval_refuse(e, &l->who, soft ? 450 : hard_code, dsn.p,
			   str_c(e->mem, reason));
}

struct listed_class {
	enum address_class class;
	struct maps *maps;
	int code;
	const char *table;
};

static enum verdict
check_class(struct listing *l, enum address_class class)
{
	const struct access_rules *r = l->e->rules;
	const struct listed_class rows[] = {
		{CLASS_LOCAL, r->local_recipients,
		 r->c.unknown_local_recipient_reject_code, "local recipient table"},
		{CLASS_VIRTUAL_MAILBOX, r->virtual_mailboxes,
		 r->c.unknown_virtual_mailbox_reject_code, "virtual mailbox table"},
		{CLASS_RELAY, r->relay_recipients,
		 r->c.unknown_relay_recipient_reject_code, "relay recipient table"},
	};
	bool show = r->rewrite->config.show_user_unknown_table_name;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].class != class || maps_count(rows[i].maps) == 0 ||
		    (class == CLASS_LOCAL && is_system_name(l)))
			continue;
		if (is_listed(l, rows[i].maps))
			return GO_ON;
		if (l->failed)
			return eval_lookup_failed(l->e, l->who.name);
		return eval_reject(l->e, ACCESS_POLICY, rows[i].code,
				   l->is_sender ? "5.1.0" : "5.1.1",
				   "<" PRI_STR ">: %s rejected: User unknown%s%s",
				   STR_ARG(l->who.name), l->who.class, show ? " in " : "",
				   show ? rows[i].table : "");
	}
	return GO_ON;
}

enum verdict
eval_unlisted(struct eval *e, bool is_sender)
{
	struct listing l = {.e = e, .is_sender = is_sender};
	const struct route *route;

	l.who = (struct speaker){is_sender ? e->request->sender : e->request->recipient,
				 is_sender ? access_class_sender
					   : access_class_recipient};
	route = eval_resolve(e, is_sender);
	if (route == NULL)
		return eval_lookup_failed(e, l.who.name);
	l.address = route->recipient;
	if (is_mapped(&l))
		return GO_ON;
	if (l.failed)
		return eval_lookup_failed(e, l.who.name);
	if (str_eq(route->transport, STR("error")))
		return refuse_transport(&l, route, false);
	if (str_eq(route->transport, STR("retry")))
		return refuse_transport(&l, route, true);
	return check_class(&l, route->class);
}

enum verdict
restrict_unlisted(struct eval *e, const struct item *item)
{
	bool is_sender = item->row->subject == SUBJECT_SENDER;
	struct str address;
	struct speaker who;

	if (!eval_subject(e, item->row->subject, &address, &who) || address.len == 0)
		return GO_ON;
	if (is_sender)
		e->sender_checked = true;
	else
		e->recipient_checked = true;
	return eval_unlisted(e, is_sender);
}
