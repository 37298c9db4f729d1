/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/canonical.h"

#include "base/arena.h"
#include "base/macros.h"

#include "config/value.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/token.h"

#include "rewrite/form.h"
#include "rewrite/keys.h"
#include "rewrite/rules.h"

static const struct str kinds[] = {
	[CANONICAL_ENVELOPE_SENDER] = STR_INIT("envelope_sender"),
	[CANONICAL_ENVELOPE_RECIPIENT] = STR_INIT("envelope_recipient"),
	[CANONICAL_HEADER_SENDER] = STR_INIT("header_sender"),
	[CANONICAL_HEADER_RECIPIENT] = STR_INIT("header_recipient"),
};

bool
canonical_class_has(struct str classes, enum canonical_kind kind)
{
	return list_has(classes, kinds[kind]);
}

bool
canonical_class_check(const char *parameter, struct str classes, struct err *err)
{
	struct str rest = classes;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		size_t i = 0;

		while (i < ARRAY_LEN(kinds) && !str_ieq(word, kinds[i]))
			i++;
		if (i == ARRAY_LEN(kinds))
			return err_set(err, ERR_CONFIG,
				       "unknown %s value \"" PRI_STR "\" in \"" PRI_STR
				       "\"",
				       parameter, STR_ARG(word), STR_ARG(classes));
	}
	return true;
}

struct mapping {
	struct arena *mem;
	const struct rewrite_rules *rules;
	struct canonical_result *out;
};

struct str
canonical_complete(struct arena *mem, const struct rewrite_rules *rules,
		   struct str address, struct str value, const struct keys_hit *hit,
		   bool propagate)
{
	struct str local;
	struct str domain;

	IGNORE(address_split(address, &local, &domain));
	if (value.len > 1 && value.p[0] == '@')
		return str_concat(mem, local, value);
	value = rewrite_form(mem, rules, value);
	if (hit->delimiter == '\0' || !propagate ||
	    !address_split(value, &local, &domain))
		return value;
	return str_printf(mem, PRI_STR "%c" PRI_STR "@" PRI_STR, STR_ARG(local),
			  hit->delimiter, STR_ARG(hit->extension), STR_ARG(domain));
}

static bool
lookup_problem(const struct mapping *m, const char *parameter, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s map lookup problem for " PRI_STR, parameter,
		       STR_ARG(m->out->address));
}

/* Take the value of a hit; *again: the result wants looking up too. */
static bool
replace(struct mapping *m, const char *parameter, const struct keys_hit *hit, bool *again,
	struct err *err)
{
	struct canonical_result *out = m->out;
	struct address_list list;
	struct str to;

	address_list_parse(m->mem, hit->hit.value, TOKEN_LIMIT_DEFAULT, &list);
	if (list.count == 0)
		return lookup_problem(m, parameter, err);
	to = canonical_complete(m->mem, m->rules, out->address, list.internal[0], hit,
				m->rules->propagate_canonical);
	out->steps[out->n_steps++] = (struct canonical_step){
		.parameter = parameter,
		.from = out->address,
		.to = hit->hit.value,
		.key = hit->key,
		.table = hit->hit.table,
		.is_multiple = list.count > 1,
	};
	*again = !str_ieq(to, out->address);
	out->address = to;
	return true;
}

static bool
apply(struct mapping *m, const char *parameter, struct maps *maps, struct err *err)
{
	struct str original = m->out->address;
	bool again = true;

	for (int round = 0; again; round++) {
		struct keys_hit hit;
		struct err why;

		if (round == CANONICAL_ROUNDS_MAX)
			return err_set(err, ERR_TEMP,
				       "unreasonable %s map nesting for " PRI_STR,
				       parameter, STR_ARG(original));
		switch (keys_find_address(m->mem, m->rules, maps, m->out->address,
					  KEYS_USER | KEYS_DOMAIN, &hit, &why)) {
		case LOOKUP_ABSENT:
			return true;
		case LOOKUP_FAILED:
			return err_set(err, ERR_TEMP,
				       "%s map lookup problem for " PRI_STR ": %s",
				       parameter, STR_ARG(m->out->address), why.text);
		case LOOKUP_FOUND:
			break;
		}
		if (!replace(m, parameter, &hit, &again, err))
			return false;
	}
	return true;
}

bool
canonical_address(struct arena *mem, const struct rewrite_rules *rules,
		  enum canonical_kind kind, struct str address,
		  struct canonical_result *out, struct err *err)
{
	const struct rewrite_config *c = &rules->config;
	bool is_sender =
		kind == CANONICAL_ENVELOPE_SENDER || kind == CANONICAL_HEADER_SENDER;
	const char *own =
		is_sender ? "sender_canonical_maps" : "recipient_canonical_maps";
	struct maps *own_maps =
		is_sender ? rules->sender_canonical : rules->recipient_canonical;
	struct str own_classes =
		is_sender ? c->sender_canonical_classes : c->recipient_canonical_classes;
	struct canonical_result result = {.address = address};
	struct mapping m = {.mem = mem, .rules = rules, .out = &result};

	if (address.len > 0 && list_has(own_classes, kinds[kind]) &&
	    !apply(&m, own, own_maps, err))
		return false;
	if (address.len > 0 && list_has(c->canonical_classes, kinds[kind]) &&
	    !apply(&m, "canonical_maps", rules->canonical, err))
		return false;
	*out = result;
	return true;
}
