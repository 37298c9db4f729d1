/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/form.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "mail/token.h"

#include "rewrite/rules.h"

/* "@a,@b:user@c" is "user@c" (RFC 5321 appendix C). */
static void
drop_route(struct token_list *list)
{
	struct token *colon = token_find_op(*list, ':');

	if (token_is(list->first, '@') && colon != NULL && colon->next != NULL)
		*list = token_cut(list, colon->next);
}

/* "site!user" to "user@site": what is before the first `!` is the domain. */
static void
swap_bang(struct arena *mem, struct token_list *list, struct token *bang)
{
	struct token_list user = token_cut(list, bang);
	struct token_list site = *list;

	token_remove(&user, bang);
	token_append(&user, token_new_op(mem, '@'));
	token_join(&user, site);
	*list = user;
}

/* Give an address without `@` one; NULL if no rule does. */
static struct token *
find_domain(struct arena *mem, const struct rewrite_config *c, struct token_list *list)
{
	struct token *at = token_rfind_op(*list, '@');
	struct token *op;

	if (at != NULL)
		return at;
	op = c->swap_bangpath ? token_find_op(*list, '!') : NULL;
	if (op != NULL) {
		swap_bang(mem, list, op);
		return token_rfind_op(*list, '@');
	}
	op = c->allow_percent_hack ? token_rfind_op(*list, '%') : NULL;
	if (op != NULL)
		op->op = '@';
	return op;
}

/* A trailing dot says that the domain is complete: taken away, and true. */
static bool
drop_trailing_dot(struct token_list *list)
{
	struct token *last = list->last;

	if (!token_is(last, '.') || token_is(last->prev, '.') ||
	    token_is(last->prev, '@'))
		return false;
	token_remove(list, last);
	return true;
}

static bool
is_single_label(const struct token *at)
{
	const struct token *t = at->next;

	if (t == NULL || t->kind == TOKEN_LITERAL)
		return false;
	while (t != NULL && !token_is(t, '.'))
		t = t->next;
	return t == NULL;
}

/* The result in internal form. */
static struct str
form(struct arena *mem, const struct rewrite_rules *rules, enum rewrite_context context,
     struct str external)
{
	const struct rewrite_config *c = &rules->config;
	bool local = context == REWRITE_LOCAL;
	struct str remote = c->remote_header_rewrite_domain;
	struct str origin = local ? rules->myorigin : remote;
	struct str parent = local ? rules->mydomain : remote;
	struct token_list list = token_scan(mem, external, TOKEN_LIMIT_DEFAULT, NULL);
	struct str text;
	struct token *at;
	bool complete;

	drop_route(&list);
	text = token_print(mem, list, TOKEN_INTERNAL);
	if (text.len == 0 || str_eq(text, STR("@")))
		return STR_EMPTY;
	at = find_domain(mem, c, &list);
	if (at == NULL) {
		text = token_print(mem, list, TOKEN_INTERNAL);
		if (!c->append_at_myorigin || origin.len == 0)
			return text;
		return address_join(mem, text, origin);
	}
	complete = drop_trailing_dot(&list);
	text = token_print(mem, list, TOKEN_INTERNAL);
	if (c->append_dot_mydomain && !complete && parent.len > 0 && is_single_label(at))
		return str_printf(mem, PRI_STR "." PRI_STR, STR_ARG(text),
				  STR_ARG(parent));
	return text;
}

struct str
rewrite_form(struct arena *mem, const struct rewrite_rules *rules, struct str address)
{
	return form(mem, rules, REWRITE_LOCAL, address_quote_header(mem, address));
}

struct str
rewrite_form_external(struct arena *mem, const struct rewrite_rules *rules,
		      enum rewrite_context context, struct str address)
{
	struct str internal = form(mem, rules, context, address);

	return internal.len == 0 ? STR("\"\"") : address_quote_header(mem, internal);
}
