/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays that want a log-in or TLS: relayhost, the key of its password and that of its
 * TLS policy stand in three places, must agree to the letter, and nobody complains if
 * they do not: the client then just goes on without. The keys that count are those that
 * the SMTP client asks for (daemon/smtp/login.c, tls_policy.c).
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

#include "config/smtp_sasl_config.h"
#include "config/smtp_tls_config.h"
#include "config/value.h"
#include "mail/address.h"
#include "smtp/nexthop.h"
#include "table/maps.h"
#include "tls/policy.h"

#include "check_rows.h"
#include "finding.h"

enum { RELAYS_MAX = 2 * NEXTHOP_LIST_MAX, KEYS_MAX = 8, PORT_SMTPS = 465 };

struct relay {
	const char *parameter;
	struct nexthop to;
};

struct keys {
	struct str at[KEYS_MAX];
	size_t n;
};

/* All that these checks look at. */
struct login {
	struct check *c;
	struct smtp_sasl_config sasl;
	struct smtp_tls_config tls;
	struct maps *passwords;
	struct maps *policies;
	struct relay relays[RELAYS_MAX];
	size_t n_relays;
};

static void
add_relays(struct login *l, const char *parameter, struct str list)
{
	struct arena *mem = l->c->mem;
	struct str *items;
	size_t count;
	struct err err;

	if (!nexthop_list(mem, list, &items, &count, &err))
		return;
	for (size_t i = 0; i < count && l->n_relays < RELAYS_MAX; i++) {
		struct relay *r = &l->relays[l->n_relays];

		*r = (struct relay){.parameter = parameter};
		if (nexthop_parse(mem, items[i], false, l->c->smtp.smtp_tcp_port, &r->to,
				  &err) &&
		    !r->to.is_unix)
			l->n_relays++;
	}
}

/* NULL: what is wrong there is told by other rows. */
static struct login *
load(struct check *c)
{
	struct login *l = ARENA_NEW(c->mem, struct login);
	struct err err;

	l->c = c;
	if (!smtp_sasl_config_load(c->mem, c->config, &l->sasl, &err) ||
	    !smtp_tls_config_load(c->mem, c->config, &l->tls, &err) ||
	    !maps_open(c->mem, "smtp_sasl_password_maps", l->sasl.smtp_sasl_password_maps,
		       TABLE_DEFAULT, &l->passwords, &err) ||
	    !maps_open(c->mem, "smtp_tls_policy_maps", l->tls.smtp_tls_policy_maps,
		       TABLE_DEFAULT, &l->policies, &err))
		return NULL;
	add_relays(l, "relayhost", c->rules.config.relayhost);
	add_relays(l, "smtp_fallback_relay", c->smtp.smtp_fallback_relay);
	return l;
}

static bool
logs_in(const struct login *l)
{
	return l->sasl.smtp_sasl_auth_enable && maps_count(l->passwords) > 0;
}

/* ---- keys ---- */

static void
add_key(struct keys *k, struct str key)
{
	for (size_t i = 0; i < k->n; i++) {
		if (str_eq(k->at[i], key))
			return;
	}
	if (k->n < KEYS_MAX)
		k->at[k->n++] = key;
}

/* What somebody may have written for this relay: with and without brackets and port. */
static struct keys
look_alikes(const struct login *l, const struct nexthop *to)
{
	struct arena *mem = l->c->mem;
	struct keys k = {.n = 0};
	struct str bare = to->host;
	struct str bracketed = str_printf(mem, "[" PRI_STR "]", STR_ARG(bare));
	const struct str forms[] = {bracketed, bare};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (to->service.len > 0)
			add_key(&k, str_printf(mem, PRI_STR ":" PRI_STR,
					       STR_ARG(forms[i]), STR_ARG(to->service)));
		add_key(&k, str_printf(mem, PRI_STR ":%u", STR_ARG(forms[i]), to->port));
		add_key(&k, forms[i]);
	}
	return k;
}

static enum lookup
find(const struct login *l, struct maps *maps, struct str key, struct str *value_out)
{
	struct maps_hit hit;
	struct err err;
	enum lookup result = maps_find(maps, l->c->mem, str_lower(l->c->mem, key),
				       MAPS_ALL, &hit, &err);

	if (result == LOOKUP_FOUND)
		*value_out = hit.value;
	return result;
}

/* FAILED as soon as one fails: then nothing can be said. */
static enum lookup
find_any(const struct login *l, struct maps *maps, const struct keys *keys,
	 struct str *key_out, struct str *value_out)
{
	for (size_t i = 0; i < keys->n; i++) {
		enum lookup result = find(l, maps, keys->at[i], value_out);

		*key_out = keys->at[i];
		if (result != LOOKUP_ABSENT)
			return result;
	}
	return LOOKUP_ABSENT;
}

/* What the client asks for. The name of the host comes first; behind a domain without
 * brackets that is the name of an MX host, which may also be the domain itself. */
static struct keys
password_keys(const struct nexthop *to)
{
	struct keys k = {.n = 0};

	add_key(&k, to->host);
	add_key(&k, to->text);
	return k;
}

/* ---- passwords ---- */

/* Without the value: a table may stand in main.cf itself. */
static struct place
place_passwords(const struct check *c)
{
	struct place p = place_parameter(c, "smtp_sasl_password_maps");

	p.what = STR("smtp_sasl_password_maps");
	return p;
}

void
check_login_off(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || l->sasl.smtp_sasl_auth_enable || maps_count(l->passwords) == 0)
		return;
	finding_add(
		c, place_passwords(c),
		STR("There are passwords, but smtp_sasl_auth_enable is off: the client "
		    "never logs in."),
		STR("Set smtp_sasl_auth_enable = yes, or remove the passwords."));
}

static void
tell_no_password(const struct login *l, const struct relay *r)
{
	struct check *c = l->c;
	struct keys near = look_alikes(l, &r->to);
	struct str key, value;

	switch (find_any(l, l->passwords, &near, &key, &value)) {
	case LOOKUP_FOUND:
		finding_add(c, place_parameter(c, r->parameter),
			    str_printf(c->mem,
				       "The password table has a row \"" PRI_STR
				       "\", but for " PRI_STR
				       " the client asks for \"" PRI_STR
				       "\" and \"" PRI_STR "\": it does not log in.",
				       STR_ARG(key), STR_ARG(r->to.text),
				       STR_ARG(r->to.host), STR_ARG(r->to.text)),
			    str_printf(c->mem, "Write the row's key as " PRI_STR ".",
				       STR_ARG(r->to.text)));
		return;
	case LOOKUP_ABSENT:
		break;
	case LOOKUP_FAILED:
		return;
	}
	/* Rows of senders and MX hosts cannot be guessed. */
	if (l->sasl.smtp_sender_dependent_authentication || r->to.mx)
		return;
	finding_add(c, place_parameter(c, r->parameter),
		    str_printf(c->mem,
			       "No row of the password table is for " PRI_STR
			       ": the client does not log in there.",
			       STR_ARG(r->to.text)),
		    str_printf(c->mem, "If it should: " PRI_STR " user:password",
			       STR_ARG(r->to.text)));
}

void
check_login_key(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || !logs_in(l))
		return;
	for (size_t i = 0; i < l->n_relays; i++) {
		struct keys asked = password_keys(&l->relays[i].to);
		struct str key, value;

		if (find_any(l, l->passwords, &asked, &key, &value) == LOOKUP_ABSENT)
			tell_no_password(l, &l->relays[i]);
	}
}

/* The value is a secret: it is not shown. */
void
check_login_value(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || !logs_in(l))
		return;
	for (size_t i = 0; i < l->n_relays; i++) {
		struct keys asked = password_keys(&l->relays[i].to);
		struct str key, value, user, password;

		if (find_any(l, l->passwords, &asked, &key, &value) != LOOKUP_FOUND)
			continue;
		if (str_split(value, ':', &user, &password) && user.len > 0 &&
		    password.len > 0)
			continue;
		finding_add(c, place_passwords(c),
			    str_printf(c->mem,
				       "The row \"" PRI_STR "\" is not user:password.",
				       STR_ARG(key)),
			    str_printf(c->mem, "Write: " PRI_STR " user:password",
				       STR_ARG(key)));
	}
}

/* ---- TLS ---- */

static enum tls_level
main_level(const struct login *l)
{
	enum tls_level level = TLS_LEVEL_NONE;

	if (l->tls.smtp_tls_security_level.len > 0)
		IGNORE(tls_level_parse(l->tls.smtp_tls_security_level, &level));
	else if (l->tls.smtp_enforce_tls)
		level = l->tls.smtp_tls_enforce_peername ? TLS_LEVEL_VERIFY
							 : TLS_LEVEL_ENCRYPT;
	else if (l->tls.smtp_use_tls)
		level = TLS_LEVEL_MAY;
	return level;
}

/* Next hop as written, and for a bare domain its parents. */
static struct keys
policy_keys(const struct nexthop *to)
{
	struct keys k = {.n = 0};
	struct str key = to->text;

	add_key(&k, key);
	while (hostname_check(to->text, true, &(struct err){0}) && k.n < KEYS_MAX) {
		key = str_skip(key, 1);
		key = str_skip(key, str_index(key, '.'));
		if (key.len == 0)
			break;
		add_key(&k, key);
	}
	return k;
}

/* The level that mail to this relay is sent with. False: nobody can say. */
static bool
level_of(const struct login *l, const struct relay *r, enum tls_level *level_out)
{
	struct keys asked = policy_keys(&r->to);
	struct str key, value, word;

	*level_out = main_level(l);
	switch (find_any(l, l->policies, &asked, &key, &value)) {
	case LOOKUP_FOUND:
		return str_token(&value, " \t\r\n,", &word) &&
		       tls_level_parse(word, level_out);
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	return false;
}

void
check_tls_policy_key(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || maps_count(l->policies) == 0)
		return;
	for (size_t i = 0; i < l->n_relays; i++) {
		const struct relay *r = &l->relays[i];
		struct keys asked = policy_keys(&r->to);
		struct keys near = look_alikes(l, &r->to);
		struct str key, value;

		if (find_any(l, l->policies, &asked, &key, &value) != LOOKUP_ABSENT ||
		    find_any(l, l->policies, &near, &key, &value) != LOOKUP_FOUND)
			continue;
		finding_add(c, place_parameter(c, r->parameter),
			    str_printf(c->mem,
				       "The TLS policy table has a row \"" PRI_STR
				       "\", but for " PRI_STR
				       " the client asks for \"" PRI_STR
				       "\": the row has no effect there.",
				       STR_ARG(key), STR_ARG(r->to.text),
				       STR_ARG(r->to.text)),
			    str_printf(c->mem, "Write the row's key as " PRI_STR ".",
				       STR_ARG(r->to.text)));
	}
}

static bool
has_option(struct str options, const char *option)
{
	struct str word;

	while (list_next(&options, &word)) {
		if (str_ieq(word, str_from(option)))
			return true;
	}
	return false;
}

static bool
has_password(const struct login *l, const struct relay *r)
{
	struct keys asked = password_keys(&r->to);
	struct str key, value;

	return find_any(l, l->passwords, &asked, &key, &value) == LOOKUP_FOUND;
}

void
check_login_mechanisms(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || !logs_in(l) || l->n_relays == 0 ||
	    !has_option(l->sasl.smtp_sasl_tls_security_options, "noplaintext"))
		return;
	finding_add(
		c, place_parameter(c, "smtp_sasl_tls_security_options"),
		STR("noplaintext shuts out PLAIN and LOGIN also under TLS, and most "
		    "providers offer nothing else: mail waits because no mechanism is "
		    "left."),
		STR("Set smtp_sasl_tls_security_options = noanonymous, which is safe "
		    "where smtp_tls_security_level = encrypt."));
}

void
check_login_plain(struct check *c)
{
	const struct login *l = load(c);

	if (l == NULL || !logs_in(l) ||
	    has_option(l->sasl.smtp_sasl_security_options, "noplaintext"))
		return;
	for (size_t i = 0; i < l->n_relays; i++) {
		const struct relay *r = &l->relays[i];
		enum tls_level level;

		if (!has_password(l, r) || !level_of(l, r, &level) ||
		    level >= TLS_LEVEL_ENCRYPT)
			continue;
		finding_add(
			c, place_parameter(c, r->parameter),
			str_printf(c->mem,
				   "TLS is not required for " PRI_STR
				   " (level %s), and smtp_sasl_security_options lets "
				   "the password go without it.",
				   STR_ARG(r->to.text), tls_level_name(level)),
			STR("Set smtp_tls_security_level = encrypt, or add noplaintext "
			    "to smtp_sasl_security_options."));
	}
}

void
check_wrapper_port(struct check *c)
{
	const struct login *l = load(c);

	for (size_t i = 0; l != NULL && i < l->n_relays; i++) {
		const struct relay *r = &l->relays[i];
		bool wrapped = l->tls.smtp_tls_wrappermode;
		enum tls_level level;

		if (!wrapped && r->to.port == PORT_SMTPS) {
			finding_add(c, place_parameter(c, r->parameter),
				    str_printf(c->mem,
					       PRI_STR
					       ": on port 465 TLS begins at once, "
					       "and smtp_tls_wrappermode is off: "
					       "both sides wait for the other.",
					       STR_ARG(r->to.text)),
				    STR("Set smtp_tls_wrappermode = yes and "
					"smtp_tls_security_level = encrypt, or use port "
					"587."));
		} else if (wrapped && r->to.port != PORT_SMTPS) {
			finding_add(c, place_parameter(c, r->parameter),
				    str_printf(c->mem,
					       PRI_STR
					       ": smtp_tls_wrappermode begins with "
					       "TLS at once, which is for port "
					       "465: on port %u the handshake "
					       "fails.",
					       STR_ARG(r->to.text), r->to.port),
				    STR("Remove smtp_tls_wrappermode, or use port 465."));
		} else if (wrapped && level_of(l, r, &level) &&
			   level < TLS_LEVEL_ENCRYPT) {
			finding_add(
				c, place_parameter(c, r->parameter),
				str_printf(c->mem,
					   PRI_STR ": smtp_tls_wrappermode needs a TLS "
						   "level of encrypt or more, and this "
						   "is %s: mail waits.",
					   STR_ARG(r->to.text), tls_level_name(level)),
				STR("Set smtp_tls_security_level = encrypt."));
		}
	}
}
