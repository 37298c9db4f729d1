/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STARTTLS (RFC 3207) and smtpd_tls_wrappermode. What the client has said before is
 * forgotten, and what it sent before the handshake never counts after it.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "tls/session.h"

#include "auth.h"
#include "ehlo.h"
#include "limits.h"
#include "log.h"
#include "milter.h"
#include "session.h"
#include "tls.h"
#include "tlsmgr.h"

static void
write_log(void *arg, enum log_level level, struct str text)
{
	const struct session *s = arg;

	log_write(s->smtpd->daemon->log, level, PRI_STR, STR_ARG(text));
}

/* The session ends with this reply. After STARTTLS it is the client that speaks next,
 * and it hears why once it has: a connection closed on words unread takes the reply with
 * it. */
static void
turn_away(struct session *s, struct str reply)
{
	const struct smtpd *d = s->smtpd;
	enum stream_status status = STREAM_OK;
	size_t limit = (size_t)d->common.line_length_limit;
	struct str line = STR_EMPTY;

	if (!d->tls->config.smtpd_tls_wrappermode)
		status = stream_read_line(s->client, limit, &line);
	if (status == STREAM_TOO_LONG) {
		log_long_line(d->daemon->log, s->peer.text, limit, line);
	} else if (status != STREAM_OK) {
		session_broken(s, status);
		return;
	}
	session_reply(s, reply);
}

/* smtpd_client_new_tls_session_rate_limit */
static bool
check_rate(struct session *s)
{
	if (s->tls->is_reused || limits_new_tls(s))
		return true;
	turn_away(s, str_printf(s->now,
				"421 4.7.0 " PRI_STR
				" Error: too many new TLS sessions from " PRI_STR,
				STR_ARG(s->smtpd->common.myhostname),
				STR_ARG(s->peer.address)));
	return false;
}

/* smtpd_tls_req_ccert: nothing more without a certificate that is trusted. */
static void
check_certificate(struct session *s)
{
	const struct smtpd *d = s->smtpd;
	const char *why = s->tls->has_certificate ? "Client certificate not trusted"
						  : "No client certificate presented";

	if (!d->tls->config.smtpd_tls_req_ccert || s->tls->is_trusted)
		return;
	log_tls_abort(d->daemon->log, s->peer.text, why);
	turn_away(s, str_printf(s->now, "421 4.7.1 " PRI_STR " Error: %s",
				STR_ARG(d->common.myhostname), why));
}

static bool
shake_hands(struct session *s, struct tls_context *context)
{
	const struct tls_service *t = s->smtpd->tls;
	struct loop *loop = s->smtpd->daemon->loop;
	const struct tls_accept_options options = {
		.log = {.bits = t->log, .fn = write_log, .arg = s, .peer = s->peer.text},
		.store = tlsmgr_store(s),
	};
	struct tls_info *info = ARENA_NEW(s->mem, struct tls_info);
	enum stream_status status;
	bool ok;

	stream_set_deadline_ms(s->client,
			       loop_now_ms(loop) + s->smtpd->starttls_s * 1000);
	ok = tls_accept(s->client, context, s->mem, &options, info, &status);
	stream_set_deadline_ms(s->client, LOOP_FOREVER);
	if (!ok) {
		s->end = SESSION_LOST;
		return false;
	}
	s->is_tls = true;
	s->tls = info;
	if (check_rate(s))
		check_certificate(s);
	return true;
}

bool
starttls_is_offered(const struct session *s)
{
	return s->smtpd->tls->uses && !s->is_tls;
}

bool
starttls_wrap(struct session *s)
{
	struct tls_service *t = s->smtpd->tls;
	struct tls_context *context;

	if (!t->config.smtpd_tls_wrappermode || s->smtpd->daemon->stand_alone)
		return true;
	context = tls_service_context(s->smtpd);
	if (context == NULL) {
		log_tls_wrapper(s->smtpd->daemon->log, s->peer.text,
				s->smtpd->daemon->service);
		s->end = SESSION_CLOSED;
		return false;
	}
	return shake_hands(s, context) && s->end == SESSION_RUNS;
}

/* The reply goes out alone; what has come already is dropped. */
static bool
agree(struct session *s)
{
	session_reply_c(s, "220 2.0.0 Ready to start TLS");
	if (s->end != SESSION_RUNS)
		return false;
	if (stream_flush(s->client) != STREAM_OK) {
		s->end = SESSION_LOST;
		return false;
	}
	stream_discard_input(s->client);
	return true;
}

bool
command_starttls(struct session *s, const struct smtp_words *words)
{
	const struct tls_service *t = s->smtpd->tls;
	struct tls_context *context;

	if (words->n != 1) {
		session_reply_c(s, "501 5.5.4 Syntax: STARTTLS");
		return false;
	}
	if (s->is_tls) {
		session_reply_c(s, "554 5.5.1 Error: TLS already active");
		return false;
	}
	if (!t->uses || (s->discarded & EHLO_STARTTLS) != 0) {
		session_reply_c(s, "502 5.5.1 Error: command not implemented");
		return false;
	}
	context = tls_service_context(s->smtpd);
	if (context == NULL) {
		session_reply_c(s, "454 4.7.0 TLS not available due to local problem");
		return false;
	}
	if (!agree(s))
		return false;
	if (s->has_helo)
		milter_abort(s);
	session_forget(s);
	if (!shake_hands(s, context))
		return false;
	if (s->end == SESSION_RUNS && !auth_start(s))
		session_reply(s, str_printf(s->now,
					    "421 4.3.0 " PRI_STR " Server local error",
					    STR_ARG(s->smtpd->common.myhostname)));
	return true;
}
