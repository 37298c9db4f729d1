/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of a destination: a row of smtp_tls_policy_maps, completed by main.cf.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "mail/address.h"
#include "smtp/nexthop.h"
#include "table/maps.h"
#include "tls/policy.h"

#include "smtp.h"
#include "tls_internal.h"

static const char separators[] = " \t\r\n,";

/* What a row leaves open. */
struct draft {
	struct smtp *s;
	struct arena *mem;
	struct str destination;
	struct tls_policy *p;
	bool has_level;
	bool has_protocols;
	struct str grade;
	struct str exclude;
};

static bool
not_usable(const struct draft *d, struct dsn *dsn)
{
	*dsn = dsn_make(d->mem, "4.7.5", STR("client TLS configuration problem"));
	return false;
}

static bool
bad_row(const struct draft *d, const char *what, struct str value)
{
	log_warning(d->s->daemon->log,
		    "smtp_tls_policy_maps, next-hop destination \"" PRI_STR
		    "\": %s \"" PRI_STR "\"",
		    STR_ARG(d->destination), what, STR_ARG(value));
	return false;
}

static bool
add_matches(struct draft *d, struct str list, const char *between)
{
	struct str word;

	while (str_token(&list, between, &word)) {
		if (d->p->n_match == TLS_WORDS_MAX)
			return bad_row(d, "too many names in", list);
		d->p->match[d->p->n_match++] = str_dup(d->mem, word);
	}
	return true;
}

/* ---- one attribute ---- */

static bool
take_attribute(struct draft *d, struct str name, struct str value)
{
	struct tls_policy *p = d->p;
	struct err err;

	if (value.len == 0)
		return bad_row(d, "no value for attribute", name);
	if (str_ieq(name, STR("ciphers"))) {
		d->grade = value;
	} else if (str_ieq(name, STR("protocols"))) {
		d->has_protocols = true;
		return tls_protocols_parse(value, &p->protocols, &err) ||
		       bad_row(d, "invalid protocols", value);
	} else if (str_ieq(name, STR("match"))) {
		if (p->level < TLS_LEVEL_FINGERPRINT)
			return bad_row(d, "attribute match does not go with level",
				       str_from(tls_level_name(p->level)));
		return add_matches(d, value,
				   p->level == TLS_LEVEL_FINGERPRINT ? "|" : ":");
	} else if (str_ieq(name, STR("exclude"))) {
		d->exclude = str_printf(d->mem, PRI_STR ":" PRI_STR, STR_ARG(d->exclude),
					STR_ARG(value));
	} else if (str_ieq(name, STR("servername"))) {
		if (p->level >= TLS_LEVEL_DANE && p->level <= TLS_LEVEL_DANE_ONLY)
			return bad_row(d, "attribute servername does not go with level",
				       str_from(tls_level_name(p->level)));
		p->servername = value;
	} else if (str_ieq(name, STR("connection_reuse"))) {
		p->reuse = str_ieq(value, STR("yes"));
		return p->reuse || str_ieq(value, STR("no")) ||
		       bad_row(d, "invalid value for attribute connection_reuse", value);
	} else if (str_ieq(name, STR("tafile"))) {
		return bad_row(d,
			       "attribute tafile is not supported yet "
			       "(smtp_tls_trust_anchor_file is):",
			       value);
	} else {
		return bad_row(d, "invalid attribute name", name);
	}
	return true;
}

static bool
take_row(struct draft *d, struct str text)
{
	struct str word = STR_EMPTY;
	struct str name;
	struct str value;

	text = str_dup(d->mem, text);
	if (!str_token(&text, separators, &word))
		return bad_row(d, "empty policy", text);
	if (!tls_level_parse(word, &d->p->level))
		return bad_row(d, "invalid security level", word);
	d->has_level = true;
	while (str_token(&text, separators, &word)) {
		if (d->p->level == TLS_LEVEL_NONE)
			return bad_row(d, "attributes behind level", STR("none"));
		if (!str_split(word, '=', &name, &value))
			return bad_row(d, "malformed attribute", word);
		if (!take_attribute(d, name, value))
			return false;
	}
	return true;
}

/* ---- the row ---- */

/* False: nothing is to be sent. */
static bool
find_row(struct draft *d, struct dsn *dsn)
{
	struct maps *rows = d->s->tls->rows;
	bool is_name = hostname_check(d->destination, true, &(struct err){0});
	struct str key = str_lower(d->mem, d->destination);

	/* The domain, then its parents; another form of next hop stands for itself. */
	while (maps_count(rows) > 0 && key.len > 0) {
		struct maps_hit hit;
		struct err err;

		switch (maps_find(rows, d->mem, key, MAPS_ALL, &hit, &err)) {
		case LOOKUP_FOUND:
			return take_row(d, hit.value) || not_usable(d, dsn);
		case LOOKUP_FAILED:
			log_warning(d->s->daemon->log, "%s", err.text);
			return not_usable(d, dsn);
		case LOOKUP_ABSENT:
			break;
		}
		if (!is_name)
			break;
		key = str_skip(key, 1);
		key = str_skip(key, str_index(key, '.'));
	}
	return true;
}

/* ---- what main.cf adds ---- */

static bool
complete_protocols(struct draft *d)
{
	const struct smtp_tls_config *c = &d->s->tls->config;
	struct err err;
	struct str list = d->p->level >= TLS_LEVEL_ENCRYPT
				  ? c->smtp_tls_mandatory_protocols
				  : c->smtp_tls_protocols;

	return d->has_protocols || tls_protocols_parse(list, &d->p->protocols, &err) ||
	       bad_row(d, "invalid protocols", list);
}

static bool
complete_ciphers(struct draft *d)
{
	const struct smtp_tls_config *c = &d->s->tls->config;
	const struct tls_config *shared = &d->s->tls->shared;
	const struct str bases[TLS_GRADES] = {
		[TLS_GRADE_NULL] = shared->tls_null_cipherlist,
		[TLS_GRADE_EXPORT] = shared->tls_export_cipherlist,
		[TLS_GRADE_LOW] = shared->tls_low_cipherlist,
		[TLS_GRADE_MEDIUM] = shared->tls_medium_cipherlist,
		[TLS_GRADE_HIGH] = shared->tls_high_cipherlist,
	};
	bool mandatory = d->p->level >= TLS_LEVEL_ENCRYPT;
	struct str exclude[3] = {c->smtp_tls_exclude_ciphers, STR_EMPTY, STR_EMPTY};
	enum tls_grade grade;
	struct err err;

	if (d->grade.len == 0)
		d->grade =
			mandatory ? c->smtp_tls_mandatory_ciphers : c->smtp_tls_ciphers;
	if (!tls_grade_parse(d->grade, &grade))
		return bad_row(d, "invalid cipher grade", d->grade);
	if (mandatory)
		exclude[1] = c->smtp_tls_mandatory_exclude_ciphers;
	if (d->exclude.len > 0) {
		exclude[0] = d->exclude;
		exclude[1] = STR_EMPTY;
	}
	/* Who must prove who he is cannot stay anonymous. */
	if (mandatory)
		exclude[2] =
			d->p->level == TLS_LEVEL_ENCRYPT ? STR("eNULL") : STR("aNULL");
	if (!tls_ciphers_make(d->mem, bases[grade], exclude, ARRAY_LEN(exclude),
			      &d->p->ciphers, &err))
		return bad_row(d, err.text, d->exclude);
	return true;
}

static bool
complete_matches(struct draft *d)
{
	const struct smtp_tls_config *c = &d->s->tls->config;

	if (d->p->n_match > 0)
		return true;
	switch (d->p->level) {
	case TLS_LEVEL_FINGERPRINT:
		if (!add_matches(d, c->smtp_tls_fingerprint_cert_match, " \t\r\n,|"))
			return false;
		return d->p->n_match > 0 ||
		       bad_row(d, "level fingerprint without match or",
			       STR("smtp_tls_fingerprint_cert_match"));
	case TLS_LEVEL_VERIFY:
		return add_matches(d, c->smtp_tls_verify_cert_match, " \t\r\n,:");
	case TLS_LEVEL_SECURE:
		return add_matches(d, c->smtp_tls_secure_cert_match, " \t\r\n,:");
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
	case TLS_LEVEL_ENCRYPT:
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_HALF_DANE:
	case TLS_LEVEL_DANE_ONLY:
		break;
	}
	return true;
}

bool
tls_policy_find(struct smtp *s, struct arena *mem, struct str destination,
		const struct nexthop *n, struct tls_policy *out, struct dsn *dsn)
{
	struct draft d = {.s = s,
			  .mem = mem,
			  .destination = n->is_unix ? STR_EMPTY : destination,
			  .p = out,
			  .grade = STR_EMPTY,
			  .exclude = STR_EMPTY};

	*out = (struct tls_policy){.level = s->tls->level,
				   .ciphers = STR_EMPTY,
				   .servername = s->tls->config.smtp_tls_servername,
				   .reuse = s->tls->config.smtp_tls_connection_reuse};
	if (!find_row(&d, dsn))
		return false;
	if (out->level == TLS_LEVEL_NONE)
		return true;
	return (complete_protocols(&d) && complete_ciphers(&d) && complete_matches(&d)) ||
	       not_usable(&d, dsn);
}
