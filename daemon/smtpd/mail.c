/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope: MAIL and RCPT.
 */
#include <errno.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/sys.h"

#include "daemon/daemon.h"

#include "auth.h"
#include "ehlo.h"
#include "limits.h"
#include "log.h"
#include "milter.h"
#include "proxy.h"
#include "session.h"
#include "transaction.h"

static struct smtp_offer
offer_of(const struct session *s)
{
	const struct smtpd *d = s->smtpd;

	return (struct smtp_offer){.strict = d->config.strict_rfc821_envelopes,
				   .dsn = (s->discarded & EHLO_DSN) == 0,
				   .auth = auth_is_active(s) && s->sasl_username.len > 0,
				   .utf8 = d->common.smtputf8_enable &&
					   (s->discarded & EHLO_SMTPUTF8) == 0,
				   .must_declare = d->config.strict_smtputf8,
				   .verp = s->may_verp,
				   .verp_default = d->common.default_verp_delimiters,
				   .verp_allowed = d->common.verp_delimiter_filter};
}

static bool
say_fault(struct session *s, const char *command, const struct smtp_command_fault *fault)
{
	if (fault->illegal.len > 0)
		log_illegal_address(s->smtpd->daemon->log, s->peer.text, command,
				    fault->illegal);
	session_reply(s, fault->reply);
	return false;
}

/* Has an address, however bad: counts for the limits per client, as in Postfix. */
static bool
is_meant(const struct smtp_command_fault *fault)
{
	return !str_starts(fault->reply, STR("501 5.5.4 Syntax: "));
}

static bool
check_address(struct session *s, const struct access_request *request, bool is_sender)
{
	struct access_answer answer;

	access_check_address(s->access, s->now, request, is_sender, &answer);
	return session_accepts(s, &answer);
}

static bool
check_lists(struct session *s, enum access_phase phase,
	    const struct access_request *request)
{
	struct access_answer answer;

	access_check(s->access, s->now, phase, request, &answer);
	return session_accepts(s, &answer);
}

/* ---- MAIL ---- */

/* A refusal that is not the access lists', logged like theirs. */
static bool
refuse_logged(struct session *s, const struct access_request *request, struct str reply)
{
	struct str soft = access_soften(s->smtpd->access, s->now, reply);
	struct str line = access_log_line(s->now, request, ACCESS_MAIL, "reject", soft);

	log_info(s->smtpd->daemon->log, PRI_STR, STR_ARG(line));
	session_reply(s, reply);
	return false;
}

static bool
check_size(struct session *s, const struct access_request *request, int64_t size)
{
	int64_t limit = s->smtpd->common.message_size_limit;

	if (limit <= 0 || size <= limit)
		return true;
	return refuse_logged(s, request,
			     STR("552 5.3.4 Message size exceeds fixed limit"));
}

/* A full disk is told before anything is sent. */
static bool
check_space(struct session *s, const struct access_request *request)
{
	const struct smtpd *d = s->smtpd;
	int64_t limit = d->common.message_size_limit;
	struct statvfs st;
	int64_t available;

	if (sys_fstatvfs(d->queue_fd, &st) != 0) {
		log_warning(d->daemon->log, "cannot look at free queue space: errno %d",
			    errno);
		return true;
	}
	if (__builtin_mul_overflow((int64_t)st.f_bavail, (int64_t)st.f_frsize,
				   &available))
		available = INT64_MAX;
	if (available > d->config.queue_minfree && available / 3 >= limit / 2)
		return true;
	if (available / 3 < limit / 2)
		log_space(d->daemon->log, available);
	return refuse_logged(s, request, STR("452 4.3.1 Insufficient system storage"));
}

bool
command_mail(struct session *s, const struct smtp_words *words)
{
	const struct smtp_offer offer = offer_of(s);
	struct access_request request = session_request(s);
	struct smtp_command_fault fault;
	struct smtp_mail_command mail;
	struct str reply;
	bool parsed;

	if (s->smtpd->config.smtpd_helo_required && !s->has_helo) {
		session_reply_c(s, "503 5.5.1 Error: send HELO/EHLO first");
		return false;
	}
	if (s->tx != NULL) {
		session_reply_c(s, "503 5.5.1 Error: nested MAIL command");
		return false;
	}
	if (s->bdat_failed) {
		session_reply_c(s, "503 5.5.1 Error: MAIL after BDAT");
		return false;
	}
	parsed = smtp_mail_parse(s->now, words, &offer, &mail, &fault);
	if ((parsed || is_meant(&fault)) && !limits_mail(s))
		return false;
	if (!parsed)
		return say_fault(s, "MAIL", &fault);
	request.has_sender = true;
	request.sender = mail.address;
	request.size = MAX_OF(mail.size, (int64_t)0);
	request.smtputf8 = mail.smtputf8;
	request.sasl_sender = mail.auth;
	if (!check_size(s, &request, mail.size) || !check_address(s, &request, true) ||
	    !check_lists(s, ACCESS_MAIL, &request) || !check_space(s, &request) ||
	    !milter_tell_mail(s, words, &mail)) {
		access_end_transaction(s->access);
		return false;
	}
	transaction_begin(s, &mail);
	s->milter_sender = s->tx->mail.address;
	s->tx->local_rewrite =
		s->forward.source != FORWARD_SOURCE_NONE
			? s->forward.source == FORWARD_SOURCE_LOCAL
			: access_rewrites_local(s->access, s->now, &request);
	if (!s->smtpd->config.smtpd_delay_open_until_valid_rcpt &&
	    !transaction_open(s, &reply)) {
		session_reset(s);
		session_reply(s, reply);
		return false;
	}
	session_reply_c(s, "250 2.1.0 Ok");
	return true;
}

/* ---- RCPT ---- */

static bool
can_take_recipient(struct session *s)
{
	if (s->bdat_failed || (s->tx != NULL && s->tx->is_bdat)) {
		session_reply_c(s, s->tx == NULL ? "503 5.5.1 Error: need MAIL command"
						 : "503 5.5.1 Error: RCPT after BDAT");
		return false;
	}
	if (s->tx == NULL) {
		session_reply_c(s, "503 5.5.1 Error: need MAIL command");
		return false;
	}
	return true;
}

bool
command_rcpt(struct session *s, const struct smtp_words *words)
{
	const struct smtpd_config *c = &s->smtpd->config;
	const struct smtp_offer offer = offer_of(s);
	struct smtp_command_fault fault;
	struct access_request request;
	struct smtp_rcpt_command rcpt;
	struct str reply;
	bool parsed;

	if (!can_take_recipient(s))
		return false;
	parsed = smtp_rcpt_parse(s->now, words, &offer, s->tx->mail.smtputf8, &rcpt,
				 &fault);
	if ((parsed || is_meant(&fault)) && !limits_recipient(s))
		return false;
	if (!parsed)
		return say_fault(s, "RCPT", &fault);
	if (s->tx->n_recipients >= c->smtpd_recipient_limit) {
		session_reply_c(s, "452 4.5.3 Error: too many recipients");
		return s->tx->overshoot++ < c->smtpd_recipient_overshoot_limit;
	}
	request = session_request(s);
	s->refusal = STR_EMPTY;
	request.has_recipient = true;
	request.recipient = rcpt.address;
	if (!check_address(s, &request, false) ||
	    !check_lists(s, ACCESS_RCPT, &request)) {
		milter_tell_refused(s, words, &rcpt);
		return false;
	}
	if (!milter_tell_rcpt(s, words, &rcpt))
		return false;
	if (!transaction_open(s, &reply) ||
	    (s->tx->proxy != NULL && !proxy_command(s, PROXY_OK, s->line, &reply))) {
		session_reply(s, reply);
		return false;
	}
	transaction_recipient(s, &rcpt);
	session_reply_c(s, "250 2.1.5 Ok");
	return true;
}
