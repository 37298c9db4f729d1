/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "sasl/server.h"
#include "table/match.h"

#include "ehlo.h"
#include "limits.h"
#include "log.h"
#include "session.h"
#include "tls.h"

/* Challenges in one log-in; no mechanism needs more than a few. */
enum { CHALLENGES_MAX = 50, NAMES_MAX = 4096, LOGIN_MAX = 255 };

static struct log *
log_of(const struct session *s)
{
	return s->smtpd->daemon->log;
}

/* ---- at start ---- */

static bool
connect_service(void *arg, const char *path, int timeout_ms, struct stream **out,
		struct err *err)
{
	return daemon_connect(arg, path, timeout_ms, out, err);
}

bool
auth_load(struct smtpd *s, struct err *err)
{
	struct sasl_config *c = &s->sasl_config;
	struct daemon *d = s->daemon;
	struct sasl_server_setup setup;

	if (!sasl_config_load(d->mem, d->config, c, err))
		return false;
	/* Who has started us by hand (sendmail -bs) is no client to log in. */
	if (!c->smtpd_sasl_auth_enable || d->stand_alone)
		return true;
	setup = (struct sasl_server_setup){.loop = d->loop,
					   .type = c->smtpd_sasl_type,
					   .path = c->smtpd_sasl_path,
					   .service = c->smtpd_sasl_service,
					   .realm = c->smtpd_sasl_local_domain,
					   .config_path = c->cyrus_sasl_config_path,
					   .maps = c->smtpd_sasl_password_maps,
					   .connect = connect_service,
					   .connect_arg = d};
	if (!sasl_security_parse(c->smtpd_sasl_security_options, &s->sasl_options[0],
				 err) ||
	    !sasl_security_parse(c->smtpd_sasl_tls_security_options, &s->sasl_options[1],
				 err) ||
	    !daemon_open_match(s->daemon, MATCH_STRINGS, "smtpd_sasl_mechanism_filter",
			       c->smtpd_sasl_mechanism_filter, &s->sasl_filter, err) ||
	    !daemon_open_match(
		    s->daemon, MATCH_ADDRESSES, "smtpd_sasl_exceptions_networks",
		    c->smtpd_sasl_exceptions_networks, &s->sasl_exceptions, err) ||
	    !sasl_server_open(d->mem, &setup, &s->sasl, err))
		return false;
	s->needs_tcp = s->needs_tcp || sasl_server_needs_tcp(s->sasl);
	return true;
}

/* ---- of a session ---- */

static struct sasl_peer
peer_of(const struct session *s)
{
	const struct smtpd *d = s->smtpd;
	bool tls = session_is_tls(s);

	return (struct sasl_peer){
		.client_address = s->peer.address,
		.client_port = s->peer.port,
		.server_address = s->peer.server_address,
		.server_port = s->peer.server_port,
		.is_tls = tls,
		.security = tls ? d->sasl_config.smtpd_sasl_tls_security_options
				: d->sasl_config.smtpd_sasl_security_options,
		.options = d->sasl_options[tls ? 1 : 0],
		.dns = &s->world.dns,
	};
}

/* smtpd_sasl_mechanism_filter. A list that does not answer lets nothing pass. */
static struct str
filter_names(struct session *s, struct str names)
{
	struct buf *out = buf_new(s->mem, NAMES_MAX);
	struct str word;
	struct err err;

	while (str_token(&names, " ", &word)) {
		switch (match_find(s->smtpd->sasl_filter, word, NULL, &err)) {
		case MATCH_YES:
			buf_printf(out, "%s" PRI_STR, out->len > 0 ? " " : "",
				   STR_ARG(word));
			break;
		case MATCH_NO:
			break;
		case MATCH_FAILED:
			log_warning(log_of(s), "%s", err.text);
			break;
		}
	}
	return buf_str(out);
}

/* Where nothing goes without TLS, AUTH does not either. */
static bool
needs_tls(const struct smtpd *d)
{
	return d->sasl_config.smtpd_tls_auth_only || d->tls->enforces;
}

bool
auth_start(struct session *s)
{
	const struct smtpd *d = s->smtpd;
	struct sasl_peer peer = peer_of(s);
	struct str names;
	struct err err;

	auth_forget(s);
	s->sasl_names = STR_EMPTY;
	if (d->sasl == NULL || (needs_tls(d) && !peer.is_tls))
		return true;
	if (!sasl_server_mechanisms(d->sasl, s->now, &peer, &names, &err)) {
		log_warning(log_of(s), "%s", err.text);
		log_write(log_of(s), LOG_LEVEL_FATAL,
			  "no SASL authentication mechanisms");
		return false;
	}
	s->sasl_names = filter_names(s, names);
	if (s->sasl_names.len == 0) {
		log_write(log_of(s), LOG_LEVEL_FATAL,
			  "no SASL authentication mechanisms");
		return false;
	}
	return true;
}

void
auth_forget(struct session *s)
{
	s->sasl_method = s->sasl_username = STR_EMPTY;
}

bool
auth_is_active(const struct session *s)
{
	return s->sasl_names.len > 0;
}

bool
auth_is_offered(struct session *s)
{
	struct err err;
	bool excepted = false;

	if (!auth_is_active(s))
		return false;
	switch (match_find_host(s->smtpd->sasl_exceptions, s->peer.name, s->peer.address,
				NULL, &err)) {
	case MATCH_YES:
		excepted = true;
		break;
	case MATCH_NO:
		break;
	case MATCH_FAILED:
		log_warning(log_of(s), "%s", err.text);
		break;
	}
	return !excepted;
}

/* ---- the command ---- */

static bool
refuse(struct session *s, const char *reply)
{
	session_reply_c(s, reply);
	return false;
}

/* In the order in which Postfix looks. */
static bool
may_log_in(struct session *s, const struct smtp_words *words)
{
	const struct smtpd *d = s->smtpd;

	if (d->config.smtpd_helo_required && !s->has_helo)
		return refuse(s, "503 5.5.1 Error: send HELO/EHLO first");
	if (!auth_is_active(s) || (s->discarded & EHLO_AUTH) != 0)
		return refuse(s, "503 5.5.1 Error: authentication not enabled");
	if (s->tx != NULL)
		return refuse(s, "503 5.5.1 Error: MAIL transaction in progress");
	if (s->sasl_username.len > 0)
		return refuse(s, "503 5.5.1 Error: already authenticated");
	if (words->n < 2 || words->n > 3)
		return refuse(s, "501 5.5.4 Syntax: AUTH mechanism");
	return true;
}

static bool
is_listed(const struct session *s, struct str mechanism)
{
	struct str rest = s->sasl_names;
	struct str word;

	while (str_token(&rest, " ", &word))
		if (str_ieq(word, mechanism))
			return true;
	return false;
}

/* Challenges and responses, up to the verdict. False: there is none, and the client has
 * been told. */
static bool
exchange(struct session *s, struct str mechanism, const struct str *initial,
	 struct sasl_answer *answer)
{
	struct sasl_peer *peer = ARENA_NEW(s->now, struct sasl_peer);
	size_t limit = (size_t)s->smtpd->sasl_config.smtpd_sasl_response_limit;
	struct sasl_exchange *x;

	*peer = peer_of(s);
	sasl_exchange_begin(s->smtpd->sasl, s->now, peer, mechanism, initial, &x, answer);
	for (int i = 0; answer->status == SASL_ANSWER_MORE && i < CHALLENGES_MAX; i++) {
		struct str line;

		session_reply(s,
			      str_printf(s->now, "334 " PRI_STR, STR_ARG(answer->text)));
		if (!session_read_response(s, limit, &line)) {
			sasl_exchange_cancel(x);
			return false;
		}
		if (str_eq(line, STR("*"))) {
			sasl_exchange_cancel(x);
			log_auth_aborted(log_of(s), s->peer.text, mechanism);
			return refuse(s, "501 5.7.0 Authentication aborted");
		}
		sasl_exchange_next(x, s->now, line, answer);
	}
	sasl_exchange_cancel(x);
	return true;
}

static bool
fail(struct session *s, struct str mechanism, const struct sasl_answer *answer)
{
	bool later = answer->status == SASL_ANSWER_LATER;
	struct str reason = str_printable(
		s->now, answer->text.len > 0 ? answer->text : STR("(reason unavailable)"),
		s->smtpd->common.smtputf8_enable);
	struct str user = answer->user.len > 0
				  ? str_printable(s->now, answer->user,
						  s->smtpd->common.smtputf8_enable)
				  : STR("(unavailable)");

	log_auth_failed(log_of(s), s->peer.text, mechanism, reason, user);
	session_reply(s, str_printf(s->now, "%s: " PRI_STR,
				    later ? "454 4.7.0 Temporary authentication failure"
					  : "535 5.7.8 Error: authentication failed",
				    STR_ARG(str_head(reason, ERR_TEXT_MAX))));
	return false;
}

bool
command_auth(struct session *s, const struct smtp_words *words)
{
	struct sasl_answer answer = {.status = SASL_ANSWER_FAIL,
				     .text = STR("Invalid authentication mechanism"),
				     .user = STR_EMPTY};
	struct str mechanism;

	if (!limits_auth(s) || !may_log_in(s, words))
		return false;
	mechanism = words->word[1];
	if (str_eq(s->smtpd->sasl_config.smtpd_sasl_type, STR("cyrus")))
		answer.text = STR("no mechanism available");
	if (is_listed(s, mechanism) &&
	    !exchange(s, mechanism, words->n == 3 ? &words->word[2] : NULL, &answer))
		return false;
	if (answer.status == SASL_ANSWER_DONE && answer.user.len > LOGIN_MAX)
		answer = (struct sasl_answer){.status = SASL_ANSWER_FAIL,
					      .text = STR("User name too long"),
					      .user = answer.user};
	if (answer.status != SASL_ANSWER_DONE)
		return fail(s, mechanism, &answer);
	s->sasl_method = str_dup(s->mem, mechanism);
	s->sasl_username =
		str_printable(s->mem, answer.user, s->smtpd->common.smtputf8_enable);
	session_reply_c(s, "235 2.7.0 Authentication successful");
	return true;
}
