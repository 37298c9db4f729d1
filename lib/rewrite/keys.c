/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/keys.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"

#include "rewrite/rules.h"

/* A search that stops at the first key that is there, or at a failure. */
struct search {
	struct arena *mem;
	struct maps *maps;
	struct keys_hit *out;
	struct err *err;
	enum lookup result; /* LOOKUP_ABSENT while going on */
};

static bool
try_key(struct search *s, struct str key, enum maps_scope scope)
{
	if (s->result != LOOKUP_ABSENT)
		return false;
	s->result = maps_find(s->maps, s->mem, key, scope, &s->out->hit, s->err);
	if (s->result == LOOKUP_FOUND)
		s->out->key = key;
	return s->result == LOOKUP_FOUND;
}

/* All in internal form; keys are quoted where they need it. */
struct parts {
	struct str local, domain;
	struct str user, extension; /* of local; extension empty: none */
	char delimiter;
};

static void
take_apart(struct arena *mem, const struct rewrite_rules *rules, struct str address,
	   struct parts *p)
{
	*p = (struct parts){.extension = STR_EMPTY};
	IGNORE(address_split(address, &p->local, &p->domain));
	p->user = p->local;
	if (rules->recipient_delimiter.len > 0 &&
	    address_extension(p->local, str_c(mem, rules->recipient_delimiter),
			      rules->config.owner_request_special, &p->user,
			      &p->extension))
		p->delimiter = p->local.p[p->user.len];
}

static void
tell_extension(struct search *s, const struct parts *p)
{
	s->out->extension = p->extension;
	s->out->delimiter = p->delimiter;
}

static void
try_user(struct search *s, const struct rewrite_rules *rules, const struct parts *p)
{
	const char *what;
	enum match_result ours = MATCH_YES;

	if (s->result != LOOKUP_ABSENT)
		return;
	if (p->domain.len > 0 && !str_ieq(p->domain, rules->myorigin))
		ours = rewrite_is_local(rules, p->domain, &what, s->err);
	if (ours == MATCH_FAILED)
		s->result = LOOKUP_FAILED;
	if (ours != MATCH_YES)
		return;
	if (!try_key(s, address_quote_local(s->mem, p->local), MAPS_FIXED) &&
	    p->delimiter != '\0' &&
	    try_key(s, address_quote_local(s->mem, p->user), MAPS_FIXED))
		tell_extension(s, p);
}

static void
try_address(struct search *s, const struct parts *p, struct str address)
{
	struct str plain = address_join(s->mem, p->user, p->domain);

	if (!try_key(s, address_quote_header(s->mem, address), MAPS_ALL) &&
	    p->delimiter != '\0' &&
	    try_key(s, address_quote_header(s->mem, plain), MAPS_FIXED))
		tell_extension(s, p);
}

enum lookup
keys_find_address(struct arena *mem, const struct rewrite_rules *rules, struct maps *maps,
		  struct str address, unsigned parts, struct keys_hit *out,
		  struct err *err)
{
	struct keys_hit hit = {.extension = STR_EMPTY};
	struct search s = {.mem = mem,
			   .maps = maps,
			   .out = &hit,
			   .err = err,
			   .result = LOOKUP_ABSENT};
	struct parts p;

	if (maps_count(maps) == 0)
		return LOOKUP_ABSENT;
	take_apart(mem, rules, address, &p);
	try_address(&s, &p, address);
	if ((parts & KEYS_USER) != 0)
		try_user(&s, rules, &p);
	if ((parts & KEYS_DOMAIN) != 0 && p.domain.len > 0)
		IGNORE(try_key(&s, str_concat(mem, STR("@"), p.domain), MAPS_FIXED));
	if (s.result == LOOKUP_FOUND)
		*out = hit;
	return s.result;
}

/* The domain and what is above it: "a.b.c", then ".b.c" and ".c", or "b.c" and "c" where
 * the table's entries match subdomains as well. */
static void
try_domains(struct search *s, const struct rewrite_rules *rules, struct str domain)
{
	if (domain.len == 0 || try_key(s, domain, MAPS_FIXED))
		return;
	for (size_t dot = str_index(domain, '.'); dot < domain.len;
	     dot = str_index(domain, '.')) {
		struct str parent = str_skip(domain, dot);

		if (try_key(s,
			    rules->transport_matches_parents ? str_skip(parent, 1)
							     : parent,
			    MAPS_FIXED))
			return;
		domain = str_skip(parent, 1);
	}
}

enum lookup
keys_find_transport(struct arena *mem, const struct rewrite_rules *rules,
		    struct str address, struct keys_hit *out, struct err *err)
{
	struct keys_hit hit = {.extension = STR_EMPTY};
	struct search s = {.mem = mem,
			   .maps = rules->transport,
			   .out = &hit,
			   .err = err,
			   .result = LOOKUP_ABSENT};
	struct parts p;

	if (maps_count(rules->transport) == 0)
		return LOOKUP_ABSENT;
	take_apart(mem, rules, address, &p);
	try_address(&s, &p, address);
	try_domains(&s, rules, p.domain);
	IGNORE(try_key(&s, STR("*"), MAPS_FIXED));
	if (s.result == LOOKUP_FOUND)
		*out = hit;
	return s.result;
}
