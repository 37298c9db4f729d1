/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that are not about a message: greeting, HELO, EHLO, RSET, NOOP, VRFY, ETRN,
 * QUIT, HELP. AUTH is in auth.c, STARTTLS in starttls.c.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "ipc/deliver.h"
#include "ipc/messages.h"
#include "mail/address.h"

#include "auth.h"
#include "ehlo.h"
#include "log.h"
#include "milter.h"
#include "session.h"
#include "tls.h"
#include "transaction.h"

enum { FLUSH_MS = 10000 };

static bool
check(struct session *s, enum access_phase phase, const struct access_request *request)
{
	struct access_answer answer;

	access_check(s->access, s->now, phase, request, &answer);
	return session_accepts(s, &answer);
}

void
command_greet(struct session *s)
{
	const struct access_request request = session_request(s);

	if (milter_greeting(s).len > 0) {
		session_reply(s, milter_greeting(s));
		return;
	}
	if (!check(s, ACCESS_CONNECT, &request)) {
		s->errors++;
		return;
	}
	if (!session_check_pipelining(s))
		return;
	session_reply(s, str_printf(s->now, "220 " PRI_STR,
				    STR_ARG(s->smtpd->config.smtpd_banner)));
}

/* What is no part of a host name, and would mean something in a header or a log line, is
 * a question mark. */
static struct str
neutral(struct arena *mem, struct str text, bool utf8)
{
	struct str clean = str_printable(mem, str_head(text, SESSION_HELO_MAX), utf8);
	char *copy = str_c(mem, clean);

	for (size_t i = 0; i < clean.len; i++)
		if (strchr("<>()\\\";@", copy[i]) != NULL)
			copy[i] = '?';
	return str_from_mem(copy, clean.len);
}

/* False: a refusal was said, or (*limited_out) all that is to be said. */
static bool
hello(struct session *s, const struct smtp_words *words, bool esmtp, bool *limited_out)
{
	struct access_request request;
	struct str before = session_protocol(s);
	enum milter_helo told;
	struct str text;

	*limited_out = false;
	if (words->n < 2) {
		session_reply_c(s, esmtp ? "501 Syntax: EHLO hostname"
					 : "501 Syntax: HELO hostname");
		return false;
	}
	text = neutral(s->now, smtp_words_join(s->now, words, 1),
		       s->smtpd->common.smtputf8_enable);
	told = milter_tell_helo(s, text, esmtp);
	session_reset(s);
	if (told == MILTER_HELO_SAID)
		return false;
	session_set_helo(s, text);
	s->has_helo = true;
	/* Once EHLO was said a later HELO takes nothing back, as in Postfix. */
	s->is_esmtp = s->is_esmtp || esmtp;
	request = session_request(s);
	/* Not before it is accepted, as in Postfix. */
	request.protocol = before;
	*limited_out = told == MILTER_HELO_LIMITED;
	if (check(s, esmtp ? ACCESS_EHLO : ACCESS_HELO, &request))
		return true;
	s->has_helo = false;
	session_set_helo(s, STR_EMPTY);
	return false;
}

bool
command_helo(struct session *s, const struct smtp_words *words)
{
	bool limited;

	if (!hello(s, words, false, &limited))
		return false;
	session_reply(s, str_printf(s->now, "250 " PRI_STR,
				    STR_ARG(s->smtpd->common.myhostname)));
	return true;
}

bool
command_ehlo(struct session *s, const struct smtp_words *words)
{
	const struct smtpd *d = s->smtpd;
	unsigned offer = EHLO_PIPELINING | EHLO_SIZE | EHLO_ETRN |
			 EHLO_ENHANCEDSTATUSCODES | EHLO_8BITMIME | EHLO_DSN |
			 EHLO_CHUNKING;
	bool limited;
	struct ehlo_offer offered;

	if (!hello(s, words, true, &limited))
		return false;
	offer |= d->config.disable_vrfy_command ? 0u : EHLO_VRFY;
	offer |= starttls_is_offered(s) ? EHLO_STARTTLS : 0u;
	offer |= s->may_verp ? EHLO_XVERP : 0u;
	offer |= s->may_xclient ? EHLO_XCLIENT : 0u;
	offer |= s->may_xforward ? EHLO_XFORWARD : 0u;
	offer |= d->common.smtputf8_enable ? EHLO_SMTPUTF8 : 0u;
	offer |= auth_is_offered(s) ? EHLO_AUTH : 0u;
	if (limited)
		offer = EHLO_ENHANCEDSTATUSCODES;
	offered = (struct ehlo_offer){
		.keywords = offer & ~s->discarded,
		.size = d->common.message_size_limit,
		.mechanisms = s->sasl_names,
		.old_auth = d->sasl_config.broken_sasl_auth_clients,
	};
	session_reply(s, ehlo_format(s->now, d->common.myhostname, &offered));
	return true;
}

bool
command_rset(struct session *s, const struct smtp_words *words)
{
	if (words->n != 1) {
		session_reply_c(s, "501 5.5.4 Syntax: RSET");
		return false;
	}
	session_reset(s);
	session_reply_c(s, "250 2.0.0 Ok");
	return true;
}

bool
command_noop(struct session *s, const struct smtp_words *words UNUSED)
{
	session_reply_c(s, "250 2.0.0 Ok");
	return true;
}

bool
command_quit(struct session *s, const struct smtp_words *words UNUSED)
{
	session_reply_c(s, "221 2.0.0 Bye");
	s->end = SESSION_CLOSED;
	return true;
}

bool
command_help(struct session *s, const struct smtp_words *words UNUSED)
{
	struct buf *out = buf_new(s->now, SIZE_MAX / 4);

	buf_add_c(out, "214 2.0.0 Commands:");
	for (size_t i = 0; i < SMTP_VERBS; i++) {
		bool off = (i == SMTP_VERB_STARTTLS && !s->smtpd->tls->uses) ||
			   (i == SMTP_VERB_AUTH &&
			    (!auth_is_active(s) || (s->discarded & EHLO_AUTH) != 0)) ||
			   (i == SMTP_VERB_XCLIENT && !s->may_xclient) ||
			   (i == SMTP_VERB_XFORWARD && !s->may_xforward);

		if (!off)
			buf_printf(out, " %s", smtp_verb_name((enum smtp_verb)i));
	}
	session_reply(s, buf_str(out));
	return true;
}

/* ---- VRFY ---- */

bool
command_vrfy(struct session *s, const struct smtp_words *words)
{
	const struct smtpd *d = s->smtpd;
	const struct smtp_offer offer = {.strict = d->config.strict_rfc821_envelopes,
					 .utf8 = d->common.smtputf8_enable};
	struct access_request request = session_request(s);
	struct smtp_command_fault fault;
	struct access_answer answer;
	struct str address;
	struct str text;

	if (d->config.disable_vrfy_command) {
		session_reply_c(s, "502 5.5.1 VRFY command is disabled");
		return false;
	}
	if (d->config.smtpd_helo_required && !s->has_helo) {
		session_reply_c(s, "503 5.5.1 Error: send HELO/EHLO first");
		return false;
	}
	if (!smtp_vrfy_parse(s->now, words, &offer, &text, &address, &fault)) {
		if (fault.illegal.len > 0)
			log_illegal_address(d->daemon->log, s->peer.text, "VRFY",
					    fault.illegal);
		session_reply(s, fault.reply);
		return false;
	}
	request.has_recipient = true;
	request.recipient = address;
	access_check_address(s->access, s->now, &request, false, &answer);
	if (!session_accepts(s, &answer) || !check(s, ACCESS_VRFY, &request))
		return false;
	session_reply(s, str_printf(s->now, "252 2.0.0 " PRI_STR, STR_ARG(text)));
	return true;
}

/* ---- ETRN ---- */

static enum flush_status
ask_flush(struct session *s, struct str domain)
{
	const struct msg_flush_send_site request = {.site = domain};
	struct msg_flush_done done = {.status = FLUSH_FAILED};
	struct stream *stream = NULL;
	struct ipc ipc;
	struct err err;

	if (daemon_connect(s->smtpd->daemon, "public/flush", FLUSH_MS, &stream, &err)) {
		stream_set_timeout_ms(stream, FLUSH_MS);
		ipc_init(&ipc, stream);
		if (!ipc_send(&ipc, &ipc_flush_send_site, &request, &err) ||
		    ipc_receive(&ipc, s->now, &ipc_flush_done, &done, &err) != IPC_DONE)
			done.status = FLUSH_FAILED;
	}
	stream_close(&stream);
	return (enum flush_status)done.status;
}

static bool
queue_for(struct session *s, struct str domain)
{
	switch (ask_flush(s, domain)) {
	case FLUSH_OK:
		session_reply_c(s, "250 Queuing started");
		return true;
	case FLUSH_UNKNOWN_SITE:
		log_etrn_refused(s->smtpd->daemon->log, domain, s->peer.text);
		session_reply(s,
			      str_printf(s->now, "459 <" PRI_STR ">: service unavailable",
					 STR_ARG(domain)));
		return false;
	case FLUSH_BAD_REQUEST:
	case FLUSH_FAILED:
		break;
	}
	session_reply_c(s, "458 Unable to queue messages");
	return false;
}

bool
command_etrn(struct session *s, const struct smtp_words *words)
{
	const struct smtpd *d = s->smtpd;
	struct access_request request;
	struct str address;
	struct str domain;
	struct err err;

	if (d->config.smtpd_helo_required && !s->has_helo) {
		session_reply_c(s, "503 Error: send HELO/EHLO first");
		return false;
	}
	if (s->tx != NULL) {
		session_reply_c(s, "503 Error: MAIL transaction in progress");
		return false;
	}
	if (words->n != 2) {
		session_reply_c(s, "500 Syntax: ETRN domain");
		return false;
	}
	domain = words->word[1];
	if (domain.p[0] == '@' || domain.p[0] == '#')
		domain = str_skip(domain, 1);
	if (!hostname_check(domain, d->common.smtputf8_enable, &err) &&
	    !literal_parse(domain, &address)) {
		session_reply_c(s, "501 Error: invalid parameter syntax");
		return false;
	}
	request = session_request(s);
	request.etrn_domain = domain;
	return check(s, ACCESS_ETRN, &request) && queue_for(s, domain);
}
