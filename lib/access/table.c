/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of access(5) tables: domains with their parents, addresses with their networks,
 * mail addresses with their parts.
 */
#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "rewrite/rules.h"
#include "table/table.h"

#include "access/eval_internal.h"
#include "access/restrict_internal.h"

/* A failure is an answer: the request is refused for now, by the name of what was looked
 * for, so that a broken table lets nobody pass. Not inlined: lists within lists come back
 * here, and a fiber's stack is small. */
static __attribute__((noinline)) bool
look_up(struct eval *e, struct table *t, struct str key, struct str *value_out)
{
	struct err err;

	switch (table_lookup(t, e->mem, key, value_out, &err)) {
	case LOOKUP_ABSENT:
		return false;
	case LOOKUP_FAILED:
		eval_warn(e, "%s", err.text);
		eval_warn(e, "%s lookup error for \"" PRI_STR "\"", table_name(t),
			  STR_ARG(str_head(key, 100)));
		*value_out = STR("451 4.3.5 Server configuration error");
		break;
	case LOOKUP_FOUND:
		break;
	}
	return true;
}

bool
eval_table_key(struct eval *e, struct table *t, struct str key, bool is_part,
	       const struct speaker *who, enum verdict *verdict_out)
{
	struct str value;

	if (key.len == 0 || (is_part && table_is_pattern(t)) ||
	    !look_up(e, t, key, &value))
		return false;
	if (e->step != NULL) {
		e->step->table = table_name(t);
		e->step->key = key;
		e->step->value = value;
	}
	*verdict_out = eval_action(e, table_name(t), key, value, who);
	return true;
}

bool
eval_table_domain(struct eval *e, struct table *t, struct str domain, bool is_part,
		  const struct speaker *who, enum verdict *verdict_out)
{
	for (;;) {
		size_t dot;

		if (eval_table_key(e, t, domain, is_part, who, verdict_out))
			return true;
		dot = 1 + str_index(str_skip(domain, 1), '.');
		if (dot + 1 >= domain.len)
			return false;
		domain = str_skip(domain, dot + (e->rules->parents ? 1 : 0));
		is_part = true;
	}
}

bool
eval_table_address(struct eval *e, struct table *t, struct str address,
		   const struct speaker *who, enum verdict *verdict_out)
{
	char delimiter = str_contains(address, ':') ? ':' : '.';
	bool is_part = false;

	for (;;) {
		size_t end;

		if (eval_table_key(e, t, address, is_part, who, verdict_out))
			return true;
		end = str_rindex(address, delimiter);
		if (end >= address.len)
			return false;
		while (end > 0 && address.p[end - 1] == delimiter)
			end--;
		address = str_head(address, end);
		is_part = true;
	}
}

/* ---- the restrictions ---- */

enum verdict
restrict_client_access(struct eval *e, const struct item *item)
{
	struct str name;
	struct speaker who;
	enum verdict verdict = GO_ON;

	if (eval_subject(e, item->row->subject, &name, &who) &&
	    !eval_table_domain(e, item->table, name, false, &who, &verdict))
		IGNORE(eval_table_address(e, item->table, e->request->client_address,
					  &who, &verdict));
	return verdict;
}

enum verdict
restrict_domain_access(struct eval *e, const struct item *item)
{
	struct str domain;
	struct speaker who;
	enum verdict verdict = GO_ON;

	if (eval_subject(e, item->row->subject, &domain, &who))
		IGNORE(eval_table_domain(e, item->table, domain, false, &who, &verdict));
	return verdict;
}

/* As a table would have it: quoted, and without quoting. */
static bool
try_address(struct eval *e, struct table *t, struct str address, bool is_part,
	    const struct speaker *who, enum verdict *verdict_out)
{
	struct str quoted = address_quote_header(e->mem, address);

	return eval_table_key(e, t, quoted, is_part, who, verdict_out) ||
	       (!str_eq(quoted, address) &&
		eval_table_key(e, t, address, is_part, who, verdict_out));
}

static bool
try_local(struct eval *e, struct table *t, struct str local, const struct speaker *who,
	  enum verdict *verdict_out)
{
	struct str key = str_concat(e->mem, address_quote_local(e->mem, local), STR("@"));

	return eval_table_key(e, t, key, true, who, verdict_out);
}

/* user+ext@domain, user@domain, domain and parents, user+ext@, user@ */
static enum verdict
look_up_address(struct eval *e, struct table *t, struct str address,
		const struct speaker *who)
{
	const struct rewrite_rules *rewrite = e->rules->rewrite;
	struct str local;
	struct str domain;
	struct str user;
	struct str extension;
	enum verdict verdict = GO_ON;
	bool has_extension;

	if (!address_split(address, &local, &domain))
		return GO_ON;
	has_extension = rewrite->recipient_delimiter.len > 0 &&
			address_extension(
				local, str_c(e->mem, rewrite->recipient_delimiter),
				rewrite->config.owner_request_special, &user, &extension);
	if (try_address(e, t, address, false, who, &verdict) ||
	    (has_extension && try_address(e, t, address_join(e->mem, user, domain), true,
					  who, &verdict)) ||
	    eval_table_domain(e, t, domain, true, who, &verdict) ||
	    try_local(e, t, local, who, &verdict) ||
	    (has_extension && try_local(e, t, user, who, &verdict)))
		return verdict;
	return GO_ON;
}

enum verdict
restrict_address_access(struct eval *e, const struct item *item)
{
	bool is_sender = item->row->subject == SUBJECT_SENDER;
	struct str address;
	struct speaker who;
	const struct route *route;
	enum verdict verdict = GO_ON;

	if (!eval_subject(e, item->row->subject, &address, &who))
		return GO_ON;
	if (address.len == 0) {
		IGNORE(eval_table_key(e, item->table,
				      e->rules->c.smtpd_null_access_lookup_key, false,
				      &who, &verdict));
		return verdict;
	}
	route = eval_resolve(e, is_sender);
	if (route == NULL)
		return eval_lookup_failed(e, address);
	return look_up_address(e, item->table, route->recipient, &who);
}

enum verdict
restrict_certificate_access(struct eval *e, const struct item *item)
{
	const struct access_request *r = e->request;
	struct speaker who = {r->ccert_subject, "Client certificate"};
	enum verdict verdict = GO_ON;

	if (r->has_ccert &&
	    !eval_table_key(e, item->table, r->ccert_fingerprint, false, &who, &verdict))
		IGNORE(eval_table_key(e, item->table, r->ccert_key_fingerprint, false,
				      &who, &verdict));
	return verdict;
}

enum verdict
restrict_login_access(struct eval *e, const struct item *item)
{
	struct speaker who = {e->request->sasl_username, "SASL login name"};
	enum verdict verdict = GO_ON;

	if (e->request->is_authenticated)
		IGNORE(eval_table_key(e, item->table, e->request->sasl_username, false,
				      &who, &verdict));
	return verdict;
}
