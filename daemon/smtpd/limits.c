/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "daemon/tables.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/deliver.h"
#include "ipc/messages.h"
#include "table/match.h"

#include "log.h"
#include "session.h"

bool
limits_settings(struct smtpd *smtpd, struct err *err)
{
	const struct smtpd_config *c = &smtpd->config;
	struct limits *l = ARENA_NEW(smtpd->daemon->mem, struct limits);

	smtpd->limits = l;
	l->any = c->smtpd_client_connection_count_limit > 0 ||
		 c->smtpd_client_connection_rate_limit > 0 ||
		 c->smtpd_client_message_rate_limit > 0 ||
		 c->smtpd_client_recipient_rate_limit > 0 ||
		 c->smtpd_client_new_tls_session_rate_limit > 0 ||
		 c->smtpd_client_auth_rate_limit > 0;
	return daemon_open_match(
		smtpd->daemon, MATCH_ADDRESSES, "smtpd_client_event_limit_exceptions",
		c->smtpd_client_event_limit_exceptions, &l->exceptions, err);
}

void
limits_start(struct smtpd *smtpd)
{
	gate_init(&smtpd->limits->gate, smtpd->daemon->loop, 1);
}

void
limits_release(struct smtpd *smtpd)
{
	stream_close(&smtpd->limits->stream);
}

/* ---- asking anvil ---- */

static bool
connect_anvil(struct smtpd *smtpd, struct err *err)
{
	struct limits *l = smtpd->limits;

	if (l->stream != NULL)
		return true;
	if (!daemon_connect(smtpd->daemon, "private/anvil", LIMITS_ASK_MS, &l->stream,
			    err))
		return false;
	stream_set_timeout_ms(l->stream, LIMITS_ASK_MS);
	ipc_init(&l->ipc, l->stream);
	l->generation++;
	return true;
}

static bool
exchange(struct session *s, enum anvil_event event, struct msg_anvil_counts *out,
	 struct err *err)
{
	struct limits *l = s->smtpd->limits;
	const struct msg_anvil_event question = {
		.event = event,
		.service = str_from(s->smtpd->daemon->service),
		.client = s->limits.address,
	};

	if (!ipc_send(&l->ipc, &ipc_anvil_event, &question, err))
		return false;
	if (event == ANVIL_DISCONNECT)
		return ipc_flush(&l->ipc, err);
	return ipc_receive(&l->ipc, s->now, &ipc_anvil_counts, out, err) == IPC_DONE;
}

/* One at a time is inside here. anvil may have been replaced between two questions. */
static bool
try_twice(struct session *s, enum anvil_event event, struct msg_anvil_counts *out,
	  struct err *err)
{
	struct limits *l = s->smtpd->limits;
	bool was_open = l->stream != NULL;

	if (connect_anvil(s->smtpd, err) && exchange(s, event, out, err))
		return true;
	stream_close(&l->stream);
	if (was_open && event != ANVIL_DISCONNECT && connect_anvil(s->smtpd, err) &&
	    exchange(s, event, out, err))
		return true;
	stream_close(&l->stream);
	return false;
}

/* False: nobody knows. */
static bool
tell(struct session *s, enum anvil_event event, struct msg_anvil_counts *out)
{
	struct daemon *d = s->smtpd->daemon;
	struct limits *l = s->smtpd->limits;
	struct err err;
	bool ok;

	if (loop_now_ms(d->loop) < l->pause_until_ms ||
	    gate_enter(&l->gate, loop_deadline_ms(d->loop, LIMITS_ASK_MS)) != FIBER_WOKEN)
		return false;
	/* While this one waited, another may have found that anvil is away. */
	ok = loop_now_ms(d->loop) >= l->pause_until_ms;
	if (ok && !try_twice(s, event, out, &err)) {
		ok = false;
		l->pause_until_ms = loop_now_ms(d->loop) + LIMITS_PAUSE_MS;
		if (!fiber_is_cancelled(fiber_current(d->loop)))
			log_warning(d->log, "no limits per client for now: anvil: %s",
				    err.text);
	}
	gate_leave(&l->gate);
	return ok;
}

/* How often the client did that; 0: there is no limit for it. */
static int64_t
rate_of(struct session *s, enum anvil_event event, int limit)
{
	struct msg_anvil_counts counts;

	if (limit <= 0 || !s->limits.counts || !tell(s, event, &counts))
		return 0;
	return counts.rate;
}

/* ---- sessions ---- */

static bool
is_counted(const struct session *s)
{
	const struct limits *l = s->smtpd->limits;
	struct err err;

	if (!l->any || s->peer.is_local || s->may_xclient)
		return false;
	switch (match_find_host(l->exceptions, s->peer.name, s->peer.address, NULL,
				&err)) {
	case MATCH_NO:
		return true;
	case MATCH_YES:
		break;
	case MATCH_FAILED: /* rather too much mail than none */
		log_warning(s->smtpd->daemon->log, "%s", err.text);
		break;
	}
	return false;
}

void
limits_begin(struct session *s)
{
	s->limits.counts = is_counted(s);
	/* XCLIENT may change the peer's. */
	s->limits.address = s->peer.address;
}

bool
limits_connect(struct session *s)
{
	const struct smtpd_config *c = &s->smtpd->config;
	struct log *log = s->smtpd->daemon->log;
	struct msg_anvil_counts counts;
	const char *what = NULL;
	int64_t n = 0;

	if (!s->limits.counts || !tell(s, ANVIL_CONNECT, &counts))
		return true;
	s->limits.generation = s->smtpd->limits->generation;
	if (c->smtpd_client_connection_count_limit > 0 &&
	    counts.count > c->smtpd_client_connection_count_limit) {
		what = "Connection concurrency";
		n = counts.count;
	} else if (c->smtpd_client_connection_rate_limit > 0 &&
		   counts.rate > c->smtpd_client_connection_rate_limit) {
		what = "Connection rate";
		n = counts.rate;
	}
	if (what == NULL)
		return true;
	log_limit(log, what, n, s->peer.text, s->smtpd->daemon->service);
	session_reply(s, str_printf(s->now,
				    "421 4.7.0 " PRI_STR
				    " Error: too many connections from " PRI_STR,
				    STR_ARG(s->smtpd->common.myhostname),
				    STR_ARG(s->peer.address)));
	return false;
}

void
limits_disconnect(struct session *s)
{
	struct limits *l = s->smtpd->limits;
	struct msg_anvil_counts none;

	if (s->limits.generation > 0 && s->limits.generation == l->generation &&
	    l->stream != NULL)
		IGNORE(tell(s, ANVIL_DISCONNECT, &none));
}

/* True: not too often. */
static bool
check(struct session *s, int64_t rate, int limit, const char *what)
{
	if (rate <= limit)
		return true;
	log_limit(s->smtpd->daemon->log, what, rate, s->peer.text,
		  s->smtpd->daemon->service);
	return false;
}

static bool
refuse(struct session *s, const char *reply)
{
	session_reply(s, str_printf(s->now, "%s from " PRI_STR, reply,
				    STR_ARG(s->peer.address)));
	return false;
}

bool
limits_mail(struct session *s)
{
	int limit = s->smtpd->config.smtpd_client_message_rate_limit;

	return check(s, rate_of(s, ANVIL_MESSAGE, limit), limit,
		     "Message delivery request rate") ||
	       refuse(s, "450 4.7.1 Error: too much mail");
}

bool
limits_recipient(struct session *s)
{
	int limit = s->smtpd->config.smtpd_client_recipient_rate_limit;

	return check(s, rate_of(s, ANVIL_RECIPIENT, limit), limit,
		     "Recipient address rate") ||
	       refuse(s, "450 4.7.1 Error: too many recipients");
}

bool
limits_auth(struct session *s)
{
	int limit = s->smtpd->config.smtpd_client_auth_rate_limit;

	return check(s, rate_of(s, ANVIL_AUTH, limit), limit, "AUTH command rate") ||
	       refuse(s, "450 4.7.1 Error: too many AUTH commands");
}

bool
limits_new_tls(struct session *s)
{
	int limit = s->smtpd->config.smtpd_client_new_tls_session_rate_limit;

	return check(s, rate_of(s, ANVIL_NEW_TLS, limit), limit, "New TLS session rate");
}
