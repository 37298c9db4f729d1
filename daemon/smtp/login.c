/* SPDX-License-Identifier: Apache-2.0 */
#include "login.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/smtp_sasl_config.h"
#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "dns/lookup.h"
#include "sasl/client.h"
#include "sasl/mechanism.h"
#include "table/maps.h"
#include "table/match.h"

#include "smtp.h"

struct smtp_logins {
	struct smtp_sasl_config config;
	struct maps *passwords;
	struct match *filter; /* smtp_sasl_mechanism_filter */
	struct sasl_security plain, tls, verified;
};

/* ---- loading ---- */

static bool
load_security(struct smtp_logins *l, struct err *err)
{
	const struct smtp_sasl_config *c = &l->config;

	return sasl_security_parse(c->smtp_sasl_security_options, &l->plain, err) &&
	       sasl_security_parse(c->smtp_sasl_tls_security_options, &l->tls, err) &&
	       sasl_security_parse(c->smtp_sasl_tls_verified_security_options,
				   &l->verified, err);
}

bool
login_load(struct smtp *s, struct err *err)
{
	struct arena *mem = s->daemon->mem;
	struct smtp_logins *l = ARENA_NEW(mem, struct smtp_logins);

	s->logins = l;
	if (!smtp_sasl_config_load(mem, s->daemon->config, &l->config, err) ||
	    !load_security(l, err) ||
	    !maps_open(mem, "smtp_sasl_password_maps",
		       l->config.smtp_sasl_auth_enable ? l->config.smtp_sasl_password_maps
						       : STR_EMPTY,
		       TABLE_DEFAULT | TABLE_KEEP_OLD, &l->passwords, err) ||
	    !match_open(mem, MATCH_STRINGS, "smtp_sasl_mechanism_filter",
			l->config.smtp_sasl_mechanism_filter, 0, &l->filter, err))
		return false;
	daemon_warn_of_maps(s->daemon, l->passwords);
	if (l->config.smtp_sasl_auth_enable && l->config.smtp_sasl_password_maps.len == 0)
		return err_set(err, ERR_CONFIG,
			       "specify a password table via the "
			       "`smtp_sasl_password_maps' configuration parameter");
	return true;
}

bool
login_is_outdated(const struct smtp *s)
{
	return maps_is_outdated(s->logins->passwords);
}

struct str
login_key(const struct smtp *s, struct str sender)
{
	const struct smtp_sasl_config *c = &s->logins->config;

	return c->smtp_sasl_auth_enable && c->smtp_sender_dependent_authentication
		       ? sender
		       : STR_EMPTY;
}

/* ---- the password ---- */

static enum login_found
find_password(struct smtp *s, struct arena *mem, struct str key, struct str *value_out)
{
	struct maps_hit hit;
	struct err err;

	if (key.len == 0)
		return LOGIN_NONE;
	switch (maps_find(s->logins->passwords, mem, key, MAPS_ALL, &hit, &err)) {
	case LOOKUP_FOUND:
		*value_out = hit.value;
		return LOGIN_FOUND;
	case LOOKUP_ABSENT:
		return LOGIN_NONE;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(s->daemon->log, "%s", err.text);
	return LOGIN_UNKNOWN;
}

/* ---- for the engine ---- */

static const struct sasl_security *
security_for(const struct smtp_logins *l, const struct smtp_client *c)
{
	if (!c->has_tls)
		return &l->plain;
	return c->tls.is_matched ? &l->verified : &l->tls;
}

static bool
passes_filter(void *arg, struct str name)
{
	struct login *login = arg;
	struct err err;

	if (match_is_empty(login->s->logins->filter))
		return true;
	switch (match_find(login->s->logins->filter, name, NULL, &err)) {
	case MATCH_YES:
		return true;
	case MATCH_NO:
		return false;
	case MATCH_FAILED:
		break;
	}
	log_warning(login->s->daemon->log, "%s", err.text);
	return false;
}

static enum smtp_login_choice
choose(void *arg, struct smtp_client *c, struct str offered, const char **mechanism_out,
       bool *has_first_out, struct str *first_out, struct str *why_out)
{
	struct login *login = arg;
	struct log *log = login->s->daemon->log;
	const struct sasl_credentials credentials = {
		.authzid = STR_EMPTY,
		.user = login->user,
		.password = login->password,
		.host = login->host,
		.port = login->port,
		.binding_type = STR_EMPTY,
		.binding_data = STR_EMPTY,
	};
	struct err err;

	if (str_trim(offered).len == 0) {
		log_warning(log, PRI_STR " offered null AUTH mechanism list",
			    STR_ARG(c->name));
		return SMTP_LOGIN_NONE;
	}
	if (!sasl_client_choose(offered, security_for(login->s->logins, c), &credentials,
				passes_filter, login, mechanism_out))
		return SMTP_LOGIN_UNFIT;
	if (!sasl_client_new(c->mem, *mechanism_out, &credentials, NULL, &login->client,
			     &err)) {
		*why_out = str_from(arena_strdup(c->mem, err.text));
		return SMTP_LOGIN_FAILED;
	}
	*has_first_out = sasl_client_first(login->client, c->mem, first_out);
	return SMTP_LOGIN_USE;
}

static bool
step(void *arg, struct arena *mem, struct str challenge, struct str *response_out,
     struct str *why_out)
{
	struct login *login = arg;
	struct err err;

	if (sasl_client_step(login->client, mem, challenge, response_out, &err))
		return true;
	*why_out = str_from(arena_strdup(mem, err.text));
	return false;
}

static bool
is_satisfied(void *arg)
{
	struct login *login = arg;

	return sasl_client_is_satisfied(login->client);
}

/* A password that is wrong today is mended tomorrow. */
static void
refused(void *arg, int code, struct dsn *dsn)
{
	struct login *login = arg;

	if (code / 100 == 5 && login->s->logins->config.smtp_sasl_auth_soft_bounce)
		dsn->status = dsn_status_with_class(dsn->status, '4');
}

enum login_found
login_find(struct smtp *s, struct arena *mem, struct str sender,
	   const struct lookup_host *host, struct str destination, struct login *out)
{
	const struct smtp_sasl_config *c = &s->logins->config;
	enum login_found found = LOGIN_NONE;
	struct str value = STR_EMPTY;

	if (!c->smtp_sasl_auth_enable)
		return LOGIN_NONE;
	if (c->smtp_sender_dependent_authentication)
		found = find_password(s, mem, sender, &value);
	if (found == LOGIN_NONE)
		found = find_password(s, mem, host->name, &value);
	if (found == LOGIN_NONE)
		found = find_password(s, mem, destination, &value);
	if (found != LOGIN_FOUND)
		return found;
	*out = (struct login){.s = s,
			      .engine = {.choose = choose,
					 .step = step,
					 .is_satisfied = is_satisfied,
					 .refused = refused,
					 .arg = out},
			      .user = value,
			      .password = STR_EMPTY,
			      .host = host->name,
			      .port = host->port};
	IGNORE(str_split(value, ':', &out->user, &out->password));
	return out->user.len > 0 ? LOGIN_FOUND : LOGIN_NONE;
}
