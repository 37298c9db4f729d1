/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of a session: greeting, EHLO, STARTTLS and EHLO again, AUTH.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "fiber/loop.h"
#include "fiber/stream.h"
#include "mail/base64.h"
#include "tls/session.h"

#include "smtp/client_internal.h"
#include "smtp/extension.h"
#include "smtp/reply.h"
#include "smtp/xforward.h"

/* ---- greeting ---- */

static const char *
helo_verb(const struct smtp_client *c, bool extended)
{
	if (c->options.lmtp)
		return "LHLO";
	return extended ? "EHLO" : "HELO";
}

/* First word of the first line of a reply, behind the code. */
static struct str
first_word(const struct smtp_reply *r)
{
	struct str rest = r->text;
	struct str line = STR_EMPTY;
	struct str word = STR_EMPTY;

	if (smtp_reply_next_line(&rest, &line))
		IGNORE(str_token(&line, " \t", &word));
	return word;
}

static void
learn_features(struct smtp_client *c, const struct smtp_reply *r)
{
	struct str rest = r->text;
	struct str line;

	c->features = SMTP_FEATURE_ESMTP;
	c->mechanisms = STR_EMPTY;
	IGNORE(smtp_reply_next_line(&rest, &line)); /* the server's name */
	while (smtp_reply_next_line(&rest, &line)) {
		struct str word = STR_EMPTY;
		unsigned f;

		/* "AUTH=LOGIN" is what some said before there was a standard. */
		if (!str_token(&line, " \t=", &word))
			continue;
		f = smtp_feature_of(word) & ~c->options.discard_features;
		c->features |= f;
		if (f == SMTP_FEATURE_SIZE &&
		    !str_to_i64(str_trim(line), 0, INT64_MAX, &c->size_limit))
			c->size_limit = 0;
		if (f == SMTP_FEATURE_XFORWARD)
			c->xforward = smtp_xforward_parse(line);
		if (f == SMTP_FEATURE_AUTH)
			c->mechanisms = str_printf(c->mem, PRI_STR " " PRI_STR,
						   STR_ARG(c->mechanisms),
						   STR_ARG(str_trim(line)));
	}
}

static enum smtp_session_result
hello(struct smtp_client *c, bool extended, struct smtp_reply *r, struct dsn *dsn)
{
	const char *verb = helo_verb(c, extended);
	const char *step = extended ? (c->options.lmtp ? "performing the LHLO handshake"
						       : "performing the EHLO handshake")
				    : "performing the HELO handshake";
	struct str command = str_printf(c->mem, "%s " PRI_STR "\r\n", verb,
					STR_ARG(c->options.helo_name));

	if (client_send_command(c, c->options.timeouts.helo_ms, step, command, dsn) !=
	    SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	return client_read_reply(c, c->options.timeouts.helo_ms, step, r, dsn);
}

/* We talk to ourselves: the mail would come back for ever. */
static enum smtp_session_result
loops(struct smtp_client *c, struct dsn *dsn)
{
	*dsn = dsn_printf(c->mem, c->options.best_preference ? "5.4.6" : "4.4.6",
			  "mail for " PRI_STR " loops back to myself",
			  STR_ARG(c->nexthop));
	return SMTP_SESSION_FAILED;
}

static enum smtp_session_result
say_hello(struct smtp_client *c, bool extended, struct dsn *dsn)
{
	struct smtp_reply r;

	if (extended) {
		if (hello(c, true, &r, dsn) != SMTP_SESSION_OK)
			return SMTP_SESSION_FAILED;
		if (r.code / 100 == 2) {
			learn_features(c, &r);
			if (!c->options.lmtp &&
			    str_ieq(first_word(&r), c->options.my_hostname))
				return loops(c, dsn);
			return SMTP_SESSION_OK;
		}
		if (c->options.lmtp || r.code == 421) {
			*dsn = client_refused(c, &r);
			return SMTP_SESSION_FAILED;
		}
	}
	if (hello(c, false, &r, dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	if (r.code / 100 == 2)
		return SMTP_SESSION_OK;
	*dsn = client_refused(c, &r);
	return SMTP_SESSION_FAILED;
}

/* A firewall in between shows nothing of the greeting but these. */
static bool
is_hidden(const struct smtp_reply *r)
{
	for (size_t i = 0; i < r->text.len; i++) {
		if (strchr("20 *\t\r\n", r->text.p[i]) == NULL)
			return false;
	}
	return true;
}

static bool
greeting_has(const struct smtp_reply *r, struct str want)
{
	struct str text = r->text;
	struct str word;

	while (str_token(&text, " \t\r\n", &word)) {
		if (str_ieq(word, want))
			return true;
	}
	return false;
}

static bool
wants_ehlo(const struct smtp_client *c, const struct smtp_reply *greeting)
{
	if (c->options.lmtp)
		return true;
	if (c->options.never_send_ehlo || (c->pix & SMTP_PIX_DISABLE_ESMTP) != 0)
		return false;
	return c->options.always_send_ehlo || greeting_has(greeting, STR("ESMTP"));
}

/* ---- STARTTLS ---- */

static enum smtp_session_result
fail_tls(struct smtp_client *c, struct dsn *dsn, const char *status, const char *text)
{
	*dsn = dsn_make(c->mem, status, str_from(text));
	return SMTP_SESSION_FAILED;
}

static enum smtp_session_result
handshake(struct smtp_client *c, struct dsn *dsn)
{
	const struct smtp_tls_plan *plan = c->options.tls;
	struct loop *loop = stream_loop(c->stream);
	enum stream_status status;
	bool ok;

	if (plan->context == NULL)
		return fail_tls(c, dsn, "4.7.5",
				"TLS is required, but our TLS engine is unavailable");
	if (loop != NULL)
		stream_set_deadline_ms(
			c->stream,
			loop_deadline_ms(loop, c->options.timeouts.starttls_ms));
	ok = tls_connect(c->stream, plan->context, c->mem, &plan->options, &c->tls,
			 &status);
	stream_set_deadline_ms(c->stream, LOOP_FOREVER);
	if (!ok) {
		c->broken = true;
		c->tls_failed = true;
		return fail_tls(c, dsn, "4.7.5", "Cannot start TLS: handshake failure");
	}
	c->has_tls = true;
	/* With an insecure MX record a TLSA record proves less; it still has to fit. */
	if ((tls_level_checks_peer(plan->options.level) && !c->tls.is_matched) ||
	    (plan->options.level == TLS_LEVEL_HALF_DANE && !c->tls.is_trusted))
		return fail_tls(c, dsn, "4.7.5", "Server certificate not verified");
	return SMTP_SESSION_OK;
}

static bool
is_required(const struct smtp_client *c)
{
	return c->options.tls->options.level >= TLS_LEVEL_ENCRYPT;
}

/* Say STARTTLS and do it; *started_out tells whether EHLO has to be said again. */
static enum smtp_session_result
start_tls(struct smtp_client *c, bool *started_out, struct dsn *dsn)
{
	static const char step[] = "receiving the STARTTLS response";
	int64_t timeout_ms = c->options.timeouts.starttls_ms;
	struct smtp_reply r;

	if (client_send_command(c, timeout_ms, step, STR("STARTTLS\r\n"), dsn) !=
		    SMTP_SESSION_OK ||
	    client_read_reply(c, timeout_ms, step, &r, dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	if (r.code / 100 != 2) {
		if (!is_required(c) && !c->broken)
			return SMTP_SESSION_OK;
		*dsn = client_refused(c, &r);
		dsn->reason = str_printf(c->mem,
					 "TLS is required, but host " PRI_STR
					 " refused to start TLS: " PRI_STR,
					 STR_ARG(c->name),
					 STR_ARG(smtp_reply_one_line(c->mem, &r)));
		return SMTP_SESSION_FAILED;
	}
	/* It would be taken for words of the other end of the tunnel. */
	if (stream_buffered(c->stream) > 0) {
		c->broken = true;
		return fail_tls(c, dsn, "4.7.5", "Cannot start TLS: handshake failure");
	}
	*started_out = true;
	return handshake(c, dsn);
}

static enum smtp_session_result
protect(struct smtp_client *c, bool *started_out, struct dsn *dsn)
{
	const struct smtp_tls_plan *plan = c->options.tls;
	bool offered = (c->features & SMTP_FEATURE_STARTTLS) != 0;

	*started_out = false;
	if (plan == NULL || plan->wrapper)
		return SMTP_SESSION_OK;
	c->offered_starttls = offered && plan->options.level == TLS_LEVEL_NONE;
	if (plan->options.level == TLS_LEVEL_NONE)
		return SMTP_SESSION_OK;
	if (offered && (plan->context != NULL || is_required(c)))
		return plan->context != NULL ? start_tls(c, started_out, dsn)
					     : handshake(c, dsn);
	if (!is_required(c))
		return SMTP_SESSION_OK;
	*dsn = dsn_printf(c->mem, "4.7.4",
			  "TLS is required, but was not offered by host " PRI_STR,
			  STR_ARG(c->name));
	return SMTP_SESSION_FAILED;
}

/* ---- AUTH ---- */

enum { AUTH_ROUNDS_MAX = 10, AUTH_LINE_MAX = 512 };
static const char auth_step[] = "performing the EHLO handshake";

static enum smtp_session_result
say_auth(struct smtp_client *c, struct str line, struct smtp_reply *r, struct dsn *dsn)
{
	int64_t timeout_ms = c->options.timeouts.helo_ms;

	if (client_send_command(c, timeout_ms, auth_step, line, dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	return client_read_reply(c, timeout_ms, auth_step, r, dsn);
}

static struct str
encoded(struct smtp_client *c, struct str response)
{
	return response.len > 0 ? base64_encode(c->mem, response) : STR("=");
}

static enum smtp_session_result
cannot_log_in(struct smtp_client *c, struct str why, struct dsn *dsn)
{
	*dsn = dsn_printf(
		c->mem, "4.7.0",
		"SASL authentication failed; cannot authenticate to server " PRI_STR
		": " PRI_STR,
		STR_ARG(c->name), STR_ARG(why));
	return SMTP_SESSION_FAILED;
}

/* We cannot go on: take leave of the exchange. */
static enum smtp_session_result
abort_auth(struct smtp_client *c, struct str why, struct dsn *dsn)
{
	struct smtp_reply r;

	if (say_auth(c, STR("*\r\n"), &r, dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	return cannot_log_in(c, why, dsn);
}

static enum smtp_session_result
end_auth(struct smtp_client *c, const struct smtp_reply *r, struct dsn *dsn)
{
	const struct smtp_login *login = c->options.login;

	if (r->code / 100 == 2 && login->is_satisfied(login->arg)) {
		c->authenticated = true;
		return SMTP_SESSION_OK;
	}
	if (r->code / 100 == 2) {
		*dsn = dsn_printf(c->mem, "4.7.0",
				  "SASL authentication failed; server " PRI_STR
				  " has not proved that it knows the password",
				  STR_ARG(c->name));
		return SMTP_SESSION_FAILED;
	}
	*dsn = client_said(c, r, "");
	dsn->reason = str_printf(
		c->mem, "SASL authentication failed; server " PRI_STR " said: " PRI_STR,
		STR_ARG(c->name), STR_ARG(smtp_reply_one_line(c->mem, r)));
	if (login->refused != NULL)
		login->refused(login->arg, r->code, dsn);
	return SMTP_SESSION_FAILED;
}

/* The text behind the code of a challenge. */
static struct str
challenge_text(const struct smtp_reply *r)
{
	struct str rest = r->text;
	struct str line = STR_EMPTY;

	IGNORE(smtp_reply_next_line(&rest, &line));
	return str_trim(line);
}

static enum smtp_session_result
exchange(struct smtp_client *c, const char *mechanism, bool has_first, struct str first,
	 struct dsn *dsn)
{
	const struct smtp_login *login = c->options.login;
	struct str command = str_printf(c->mem, "AUTH %s\r\n", mechanism);
	struct str with_first = str_printf(c->mem, "AUTH %s " PRI_STR "\r\n", mechanism,
					   STR_ARG(encoded(c, first)));
	/* RFC 4954 section 4: what is too long for a line waits for a challenge. */
	bool holds_back = has_first && with_first.len > AUTH_LINE_MAX;
	struct smtp_reply r;

	if (say_auth(c, has_first && !holds_back ? with_first : command, &r, dsn) !=
	    SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	for (int round = 0; r.code / 100 == 3 && round < AUTH_ROUNDS_MAX; round++) {
		struct str challenge;
		struct str response = first;
		struct str why = STR_EMPTY;
		struct str line;

		if (!base64_decode(c->mem, challenge_text(&r), &challenge))
			return abort_auth(c, STR("the challenge is not base64"), dsn);
		if (!holds_back &&
		    !login->step(login->arg, c->mem, challenge, &response, &why))
			return abort_auth(c, why, dsn);
		holds_back = false;
		line = str_printf(c->mem, PRI_STR "\r\n",
				  STR_ARG(base64_encode(c->mem, response)));
		if (say_auth(c, line, &r, dsn) != SMTP_SESSION_OK)
			return SMTP_SESSION_FAILED;
	}
	if (r.code / 100 == 3)
		return abort_auth(c, STR("too many challenges"), dsn);
	return end_auth(c, &r, dsn);
}

static enum smtp_session_result
log_in(struct smtp_client *c, struct dsn *dsn)
{
	const struct smtp_login *login = c->options.login;
	const char *mechanism = NULL;
	struct str first = STR_EMPTY;
	struct str why = STR_EMPTY;
	bool has_first = false;

	if (login == NULL || (c->features & SMTP_FEATURE_AUTH) == 0)
		return SMTP_SESSION_OK;
	switch (login->choose(login->arg, c, c->mechanisms, &mechanism, &has_first,
			      &first, &why)) {
	case SMTP_LOGIN_USE:
		return exchange(c, mechanism, has_first, first, dsn);
	case SMTP_LOGIN_NONE:
		return SMTP_SESSION_OK;
	case SMTP_LOGIN_UNFIT:
		why = STR("no mechanism available");
		break;
	case SMTP_LOGIN_FAILED:
		break;
	}
	return cannot_log_in(c, why, dsn);
}

/* ---- the whole ---- */

static enum smtp_session_result
read_greeting(struct smtp_client *c, bool *extended_out, struct dsn *dsn)
{
	struct smtp_reply r;

	if (client_read_reply(c, c->options.timeouts.helo_ms,
			      "receiving the initial server greeting", &r,
			      dsn) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	if (r.code / 100 != 2) {
		*dsn = client_refused(c, &r);
		if (c->options.skip_5xx_greeting)
			dsn->status = dsn_status_with_class(dsn->status, '4');
		return SMTP_SESSION_FAILED;
	}
	c->greeted_as_us = str_ieq(first_word(&r), c->options.my_hostname);
	c->pix = is_hidden(&r) ? c->options.pix_workarounds : 0;
	*extended_out = wants_ehlo(c, &r);
	return SMTP_SESSION_OK;
}

enum smtp_session_result
smtp_client_greet(struct smtp_client *c, struct dsn *dsn_out)
{
	bool wrapper = c->options.tls != NULL && c->options.tls->wrapper;
	bool extended;
	bool started;

	if ((wrapper && handshake(c, dsn_out) != SMTP_SESSION_OK) ||
	    read_greeting(c, &extended, dsn_out) != SMTP_SESSION_OK ||
	    say_hello(c, extended, dsn_out) != SMTP_SESSION_OK ||
	    protect(c, &started, dsn_out) != SMTP_SESSION_OK)
		return SMTP_SESSION_FAILED;
	/* What was said before is not from whom we talk to now. */
	if (started) {
		c->features = 0;
		c->size_limit = 0;
		c->xforward = 0;
		if (say_hello(c, true, dsn_out) != SMTP_SESSION_OK)
			return SMTP_SESSION_FAILED;
	}
	return log_in(c, dsn_out);
}
