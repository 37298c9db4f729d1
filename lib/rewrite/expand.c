/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list that grows: each address is replaced by what the table has for it, the first
 * result in its place and the others at the end, until it has none, or stands for itself,
 * or was seen before. One that was seen at another place is dropped, its results are in
 * the list already (two aliases that lead to a third one). One that was seen at its own
 * place is a circle, and stays; so the list never becomes empty.
 */
#include "rewrite/expand.h"

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/panic.h"

#include "mail/address.h"
#include "mail/address_list.h"

#include "rewrite/form.h"
#include "rewrite/keys.h"
#include "rewrite/rules.h"

enum { TOKEN_LIMIT = 10240, RESULT_SHOWN = 100 };

/* One of the list. Those that it was before are in struct expansion's seen. */
struct place {
	struct str address;
	bool is_itself; /* a result that is what was looked up: not looked up again */
	bool dropped;
};

struct expansion {
	struct arena *mem;
	const struct rewrite_rules *rules;
	struct str original;
	struct map *seen; /* address in lower case: struct place where it was */
	struct place **list;
	size_t n, size;
	struct expand_step *steps;
	size_t n_steps, steps_size;
};

static void
push(struct expansion *x, struct str address, bool is_itself)
{
	if (x->n == x->size) {
		struct place **bigger =
			arena_alloc_array(x->mem, x->size * 2, sizeof(*bigger));

		for (size_t i = 0; i < x->n; i++)
			bigger[i] = x->list[i];
		x->list = bigger;
		x->size *= 2;
	}
	x->list[x->n] = ARENA_NEW(x->mem, struct place);
	*x->list[x->n++] = (struct place){.address = address, .is_itself = is_itself};
}

static void
push_step(struct expansion *x, const struct expand_step *step)
{
	if (x->n_steps == x->steps_size) {
		struct expand_step *bigger =
			arena_alloc_array(x->mem, x->steps_size * 2, sizeof(*bigger));

		for (size_t i = 0; i < x->n_steps; i++)
			bigger[i] = x->steps[i];
		x->steps = bigger;
		x->steps_size *= 2;
	}
	x->steps[x->n_steps++] = *step;
}

/* Remember where an address was seen; false if it was there already. Without regard to
 * case, as tables are asked. */
static bool
first_time(struct expansion *x, struct place *p)
{
	struct str name = str_lower(x->mem, p->address);
	const struct place *before = map_find(x->seen, name);

	if (before != NULL) {
		p->dropped = before != p;
		return false;
	}
	map_set(x->seen, name, p);
	return true;
}

/* "@domain" as a result keeps the user; the extension goes along if it was cut off. */
static struct str
complete(struct expansion *x, struct str result, struct str from,
	 const struct keys_hit *hit)
{
	struct str local;
	struct str domain;
	struct str user;
	struct str ignored;

	IGNORE(address_split(from, &local, &ignored));
	if (result.len > 1 && result.p[0] == '@')
		return str_concat(x->mem, local, result);
	result = rewrite_form(x->mem, x->rules, result);
	if (hit->delimiter == '\0' || !x->rules->propagate_virtual ||
	    !address_split(result, &user, &domain))
		return result;
	return str_printf(x->mem, PRI_STR "%c" PRI_STR "@" PRI_STR, STR_ARG(user),
			  hit->delimiter, STR_ARG(hit->extension), STR_ARG(domain));
}

static bool
unreasonable(struct expansion *x, const char *what, struct err *err)
{
	return err_set(err, ERR_TEMP,
		       "unreasonable virtual_alias_maps map %s for " PRI_STR, what,
		       STR_ARG(x->original));
}

/* Put the results of a hit into the list, the first at p. *again: that one wants
 * looking up too. */
static bool
replace(struct expansion *x, struct place *p, const struct keys_hit *hit, bool *again,
	struct err *err)
{
	struct str from = p->address;
	struct address_list results;

	push_step(x, &(struct expand_step){.from = from,
					   .to = hit->hit.value,
					   .key = hit->key,
					   .table = hit->hit.table});
	address_list_parse(x->mem, hit->hit.value, TOKEN_LIMIT, &results);
	if (results.cut || results.count == 0)
		return err_set(err, ERR_TEMP,
			       "virtual_alias_maps map lookup problem for " PRI_STR,
			       STR_ARG(from));
	for (size_t i = 0; i < results.count; i++) {
		struct str to = complete(x, results.internal[i], from, hit);

		if (to.len > (size_t)x->rules->config.virtual_alias_address_length_limit)
			return err_set(err, ERR_TEMP,
				       "unreasonable virtual_alias_maps result %.*s...",
				       RESULT_SHOWN, to.p);
		if (i > 0)
			push(x, to, str_ieq(to, from));
		else
			p->address = to;
		if (x->n > (size_t)x->rules->config.virtual_alias_expansion_limit)
			return unreasonable(x, "expansion size", err);
	}
	*again = !str_ieq(p->address, from);
	return true;
}

static bool
expand_place(struct expansion *x, struct place *p, struct err *err)
{
	bool again = !p->is_itself;

	for (int depth = 0; again && first_time(x, p); depth++) {
		struct keys_hit hit;
		struct err why;

		if (depth >= x->rules->config.virtual_alias_recursion_limit)
			return unreasonable(x, "nesting", err);
		switch (keys_find_address(x->mem, x->rules, x->rules->virtual_alias,
					  p->address, KEYS_USER | KEYS_DOMAIN, &hit,
					  &why)) {
		case LOOKUP_FOUND:
			if (!replace(x, p, &hit, &again, err))
				return false;
			break;
		case LOOKUP_ABSENT:
			return true;
		case LOOKUP_FAILED:
			return err_set(
				err, ERR_TEMP,
				"virtual_alias_maps map lookup problem for " PRI_STR
				": %s",
				STR_ARG(p->address), why.text);
		}
	}
	return true;
}

bool
expand_recipient(struct arena *mem, const struct rewrite_rules *rules, struct str address,
		 struct expand_result *out, struct err *err)
{
	struct expansion x = {.mem = mem,
			      .rules = rules,
			      .original = address,
			      .size = 4,
			      .steps_size = 4};
	struct map *kept = map_new_in(mem);
	struct str *addresses;
	size_t n = 0;

	x.seen = map_new_in(mem);
	x.list = arena_alloc_array(mem, x.size, sizeof(struct place *));
	x.steps = arena_alloc_array(mem, x.steps_size, sizeof(*x.steps));
	push(&x, address, false);
	for (size_t i = 0; i < x.n; i++) {
		if (!expand_place(&x, x.list[i], err))
			return false;
	}
	/* Addresses that stand for themselves may be there twice: once is enough. */
	addresses = arena_alloc_array(mem, x.n, sizeof(*addresses));
	for (size_t i = 0; i < x.n; i++) {
		struct str found = x.list[i]->address;

		if (!x.list[i]->dropped &&
		    map_set(kept, str_lower(mem, found), &x) == NULL)
			addresses[n++] = found;
	}
	ensure(n > 0);
	*out = (struct expand_result){.addresses = addresses,
				      .n_addresses = n,
				      .steps = x.steps,
				      .n_steps = x.n_steps};
	return true;
}
