/* SPDX-License-Identifier: Apache-2.0 */
#include "milter.h"

#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "mail/address.h"
#include "milter/milter.h"
#include "queue/cleanup_status.h"
#include "queue/receive.h"
#include "rewrite/form.h"
#include "rewrite/resolve.h"
#include "table/maps.h"

#include "log.h"
#include "session.h"
#include "transaction.h"

bool
milter_load(struct smtpd *d, struct err *err)
{
	struct arena *mem = d->daemon->mem;

	if (!milter_settings_load(mem, d->daemon->config, &d->milter_settings, err) ||
	    !milter_list_parse(mem, &d->milter_settings, d->config.smtpd_milters,
			       &d->milters, err))
		return false;
	d->needs_tcp = d->needs_tcp || milter_list_needs_tcp(&d->milters) ||
		       d->config.smtpd_milter_maps.len > 0;
	return true;
}

/* ---- macros ---- */

/* Which client, for the macro "_": what sendmail makes of it. */
static struct str
client_text(const struct session *s, struct arena *mem)
{
	const struct peer *p = &s->peer;
	struct str unknown = STR("unknown");

	if (!str_ieq(p->name, unknown))
		return str_printf(mem, PRI_STR " [" PRI_STR "]", STR_ARG(p->name),
				  STR_ARG(p->address));
	if (str_ieq(p->reverse_name, unknown))
		return str_printf(mem, "[" PRI_STR "]", STR_ARG(p->address));
	return str_printf(mem, PRI_STR " [" PRI_STR "] (may be forged)",
			  STR_ARG(p->reverse_name), STR_ARG(p->address));
}

static struct str
resolve_text(const struct session *s)
{
	switch (s->peer.name_status) {
	case ACCESS_NAME_OK:
		return STR("OK");
	case ACCESS_NAME_TEMP:
		return STR("TEMP");
	case ACCESS_NAME_PERM:
		return STR("FAIL");
	case ACCESS_NAME_FORGED:
		return STR("FORGED");
	}
	return STR("FAIL");
}

enum route_part { ROUTE_ADDRESS, ROUTE_HOST, ROUTE_MAILER };

/* Where mail to this address goes: mailer, host, address. */
static bool
route_macro(const struct session *s, struct arena *mem, struct str address,
	    enum route_part part, struct str *out)
{
	const struct smtpd *d = s->smtpd;
	struct str form = rewrite_form(
		mem, &d->rewrite,
		address.len > 0 ? address : d->common.empty_address_recipient);
	struct route route;
	struct err err;

	if (part == ROUTE_ADDRESS && address.len == 0) {
		*out = STR_EMPTY;
		return true;
	}
	if (resolve_address(mem, &d->rewrite, STR_EMPTY, form, &route, &err) !=
	    RESOLVE_OK)
		return false;
	*out = part == ROUTE_ADDRESS ? address_quote_header(mem, route.recipient)
	       : part == ROUTE_HOST  ? route.nexthop
				     : route.transport;
	return true;
}

/* "550 5.7.1 <a@b>: Recipient address rejected" in three parts, for a recipient that is
 * none. */
static bool
refusal_macro(const struct session *s, enum route_part part, struct str *out)
{
	struct str rest = s->refusal;
	struct str word;

	if (part == ROUTE_MAILER) {
		*out = STR("error");
		return true;
	}
	rest = str_skip(rest, 4);
	if (rest.len > 1 && char_is_digit(rest.p[0]) && rest.p[1] == '.' &&
	    str_split(rest, ' ', &word, &rest)) {
		if (part == ROUTE_HOST) {
			*out = word;
			return true;
		}
	} else if (part == ROUTE_HOST) {
		return false;
	}
	if (str_starts(rest, STR("<")) && str_find(rest, STR(">: ")) < rest.len)
		rest = str_skip(rest, str_find(rest, STR(">: ")) + 3);
	*out = rest;
	return true;
}

static bool
text_macro(struct str text, struct str *out)
{
	*out = text;
	return text.len > 0;
}

static bool
envelope_macro(const struct session *s, struct arena *mem, struct str name,
	       struct str *out)
{
	static const struct {
		const char *name;
		enum route_part part;
	} rows[] = {
		{"addr", ROUTE_ADDRESS}, {"host", ROUTE_HOST}, {"mailer", ROUTE_MAILER}};
	bool is_mail = str_starts(name, STR("mail_"));

	if (!is_mail && !str_starts(name, STR("rcpt_")))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_eq(str_skip(name, 5), str_from(rows[i].name)))
			continue;
		if (is_mail)
			return s->milter_has_sender &&
			       route_macro(s, mem, s->milter_sender, rows[i].part, out);
		if (s->refusal.len > 0)
			return refusal_macro(s, rows[i].part, out);
		return s->milter_rcpt.len > 0 &&
		       route_macro(s, mem, s->milter_rcpt, rows[i].part, out);
	}
	return false;
}

static bool
find_macro(void *arg, struct arena *mem, struct str name, struct str *out)
{
	const struct session *s = arg;
	const struct smtpd *d = s->smtpd;
	const struct access_request r = session_request(s);
	struct str bits = r.tls_cipher_bits > 0 ? str_printf(mem, "%d", r.tls_cipher_bits)
						: STR_EMPTY;
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"i", s->tx != NULL ? s->tx->id : STR_EMPTY},
		{"j", d->common.myhostname},
		{"v", d->milter_settings.config.milter_macro_v},
		{"daemon_name", d->milter_settings.config.milter_macro_daemon_name},
		{"daemon_addr", s->peer.server_address},
		{"daemon_port", s->peer.server_port},
		{"client_addr", s->peer.address},
		{"client_name", s->peer.name},
		{"client_port", s->peer.port},
		{"client_ptr", s->peer.reverse_name},
		{"client_resolve", resolve_text(s)},
		/* Nobody counts connections yet, as where Postfix's anvil is off. */
		{"client_connections", STR("0")},
		{"auth_type", s->sasl_method},
		{"auth_authen", s->sasl_username},
		{"auth_author", r.sasl_sender},
		{"tls_version", r.tls_protocol},
		{"cipher", r.tls_cipher},
		{"cipher_bits", bits},
		{"cert_subject", r.ccert_subject},
		{"cert_issuer", r.ccert_issuer},
	};

	if (str_eq(name, STR("_"))) {
		*out = client_text(s, mem);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(name, str_from(rows[i].name)))
			return text_macro(rows[i].value, out);
	return envelope_macro(s, mem, name, out);
}

static void
warn(void *arg, struct str text)
{
	struct session *s = arg;

	log_warning(s->smtpd->daemon->log, PRI_STR, STR_ARG(text));
}

/* ---- answers ---- */

static struct str
reply_of(const struct milter_answer *answer)
{
	return answer->verdict == MILTER_SHUTDOWN
		       ? STR("421 4.7.0 Server closing connection")
		       : answer->reply;
}

static void
log_answer(struct session *s, const struct access_request *request,
	   enum access_phase phase, const char *what, struct str text)
{
	struct str line = access_log_line(s->now, request, phase, what,
					  str_printable(s->now, text, false));

	log_info(s->smtpd->daemon->log, PRI_STR, STR_ARG(line));
}

/* What is to be done with the message is noted; the reply to say, or none. */
static struct str
take_answer(struct session *s, const struct milter_answer *answer,
	    const struct access_request *request, enum access_phase phase)
{
	switch (answer->verdict) {
	case MILTER_CONTINUE:
		break;
	case MILTER_HOLD:
		log_answer(s, request, phase, "milter-hold",
			   STR("milter triggers HOLD action"));
		s->milter_flags |= CLEANUP_FLAG_HOLD;
		break;
	case MILTER_DISCARD:
		log_answer(s, request, phase, "milter-discard",
			   STR("milter triggers DISCARD action"));
		s->milter_flags |= CLEANUP_FLAG_DISCARD;
		break;
	case MILTER_REFUSE:
	case MILTER_SHUTDOWN:
		log_answer(s, request, phase, "milter-reject", reply_of(answer));
		return reply_of(answer);
	}
	return STR_EMPTY;
}

static bool
accepts(struct session *s, const struct milter_answer *answer,
	const struct access_request *request, enum access_phase phase)
{
	struct str reply = take_answer(s, answer, request, phase);

	if (reply.len == 0)
		return true;
	session_reply(s, reply);
	return false;
}

/* ---- the session ---- */

/* smtpd_milter_maps: another list for this client, DISABLE for none. */
static const struct milter_list *
choose_list(struct session *s)
{
	struct smtpd *d = s->smtpd;
	struct milter_list *list;
	struct maps_hit hit;
	struct err err;

	switch (maps_find(d->milter_maps, s->now, s->peer.address, MAPS_ALL, &hit,
			  &err)) {
	case LOOKUP_ABSENT:
		return &d->milters;
	case LOOKUP_FAILED:
		log_warning(d->daemon->log, "%s", err.text);
		return &d->milters;
	case LOOKUP_FOUND:
		break;
	}
	list = ARENA_NEW(s->mem, struct milter_list);
	if (str_ieq(hit.value, STR("DISABLE")))
		return list;
	if (milter_list_parse(s->mem, &d->milter_settings, hit.value, list, &err))
		return list;
	log_warning(d->daemon->log, "smtpd_milter_maps: %s", err.text);
	return &d->milters;
}

static void
tell_connect(struct session *s)
{
	const struct milter_client client = {.name = s->peer.name,
					     .address = s->peer.address,
					     .port = 0,
					     .family = s->peer.family};
	struct milter_client known = client;
	struct access_request request = session_request(s);
	struct milter_answer answer;
	int64_t port;

	if (known.family == AF_UNSPEC && str_eq(s->peer.address, STR("unknown")))
		known.family = AF_INET;
	if (str_to_i64(s->peer.port, 0, UINT16_MAX, &port))
		known.port = (unsigned)port;
	answer = milters_connect(s->milters, s->now, &known);
	s->milter_greeting =
		str_dup(s->mem, take_answer(s, &answer, &request, ACCESS_CONNECT));
}

void
milter_session_start(struct session *s)
{
	struct smtpd *d = s->smtpd;
	const struct milter_list *list;

	s->milter_greeting = STR_EMPTY;
	if (s->milters_off || (d->overrides & RECEIVE_NO_MILTERS) != 0)
		return;
	list = choose_list(s);
	if (list->n == 0)
		return;
	s->milter_world = (struct milter_world){.loop = d->daemon->loop,
						.dns = &s->world.dns,
						.macro = find_macro,
						.warn = warn,
						.arg = s};
	s->milters = milters_new(s->mem, &d->milter_settings, list, &s->milter_world);
	tell_connect(s);
}

void
milter_leave(struct session *s)
{
	milters_free(&s->milters);
}

struct str
milter_greeting(const struct session *s)
{
	struct str reply = s->milter_greeting;
	struct str host = s->smtpd->common.myhostname;

	if (str_starts(reply, STR("421")))
		return str_printf(s->now,
				  "421 " PRI_STR " Service unavailable - try again later",
				  STR_ARG(host));
	if (reply.len > 0 && reply.p[0] == '5')
		return str_printf(
			s->now, "%s " PRI_STR " ESMTP not accepting connections",
			str_starts(reply, STR("521")) ? "521" : "554", STR_ARG(host));
	return STR_EMPTY;
}

enum milter_helo
milter_tell_helo(struct session *s, struct str helo, bool esmtp)
{
	struct access_request request = session_request(s);
	struct milter_answer answer;
	struct str reply;

	if (s->milters == NULL)
		return MILTER_HELO_OK;
	request.has_helo = true;
	request.helo = helo;
	request.has_sender = false;
	request.queue_id = STR_EMPTY;
	answer = milters_helo(s->milters, s->now, helo);
	reply = take_answer(s, &answer, &request, esmtp ? ACCESS_EHLO : ACCESS_HELO);
	if (s->has_helo)
		milters_abort(s->milters);
	if (str_starts(reply, STR("421")) || str_starts(reply, STR("521"))) {
		session_reply(s, reply);
		return MILTER_HELO_SAID;
	}
	return reply.len > 0 && reply.p[0] == '5' ? MILTER_HELO_LIMITED : MILTER_HELO_OK;
}

/* ---- a message ---- */

enum { ARGS_BEFORE = 2 }; /* MAIL, FROM: */

bool
milter_tell_mail(struct session *s, const struct smtp_words *words,
		 const struct smtp_mail_command *mail)
{
	struct access_request request = session_request(s);
	struct milter_answer answer;

	s->milter_flags = 0;
	s->refusal = STR_EMPTY;
	if (s->milters == NULL)
		return true;
	request.has_sender = true;
	request.sender = mail->address;
	s->milter_sender = mail->address;
	s->milter_has_sender = true;
	answer = milters_mail(s->milters, s->now, words->word + ARGS_BEFORE,
			      words->n - ARGS_BEFORE);
	if (accepts(s, &answer, &request, ACCESS_MAIL))
		return true;
	milter_abort(s);
	return false;
}

/* For the macros of later events, which may come after this command. */
static void
keep_recipient(struct session *s, struct str address)
{
	s->milter_rcpt = address;
}

bool
milter_tell_rcpt(struct session *s, const struct smtp_words *words,
		 const struct smtp_rcpt_command *rcpt)
{
	struct access_request request = session_request(s);
	struct milter_answer answer;
	bool ok;

	if (s->milters == NULL)
		return true;
	request.has_recipient = true;
	request.recipient = rcpt->address;
	s->refusal = STR_EMPTY;
	keep_recipient(s, rcpt->address);
	answer = milters_rcpt(s->milters, s->now, words->word + ARGS_BEFORE,
			      words->n - ARGS_BEFORE);
	keep_recipient(s, STR_EMPTY);
	ok = accepts(s, &answer, &request, ACCESS_RCPT);
	return ok;
}

void
milter_tell_refused(struct session *s, const struct smtp_words *words,
		    const struct smtp_rcpt_command *rcpt)
{
	if (s->milters == NULL || s->refusal.len == 0 || s->end != SESSION_RUNS)
		return;
	keep_recipient(s, rcpt->address);
	milters_refused_rcpt(s->milters, s->now, words->word + ARGS_BEFORE,
			     words->n - ARGS_BEFORE);
	keep_recipient(s, STR_EMPTY);
	s->refusal = STR_EMPTY;
}

bool
milter_tell_data(struct session *s)
{
	struct access_request request = session_request(s);
	struct milter_answer answer;

	if (s->milters == NULL)
		return true;
	request.has_recipient = true;
	request.recipient = s->tx->recipient;
	answer = milters_data(s->milters, s->now);
	return accepts(s, &answer, &request, ACCESS_DATA);
}

bool
milter_tell_unknown(struct session *s, struct str word)
{
	struct access_request request = session_request(s);
	struct milter_answer answer;
	unsigned flags = s->milter_flags;
	bool ok;

	if (s->milters == NULL)
		return true;
	answer = milters_unknown(s->milters, s->now, word);
	ok = accepts(s, &answer, &request, ACCESS_UNKNOWN);
	/* It says nothing about a message that comes later. */
	s->milter_flags = flags;
	return ok;
}

void
milter_abort(struct session *s)
{
	s->milter_flags = 0;
	s->milter_has_sender = false;
	s->milter_sender = s->milter_rcpt = s->refusal = STR_EMPTY;
	if (s->milters != NULL)
		milters_abort(s->milters);
}

bool
milter_has_content(const struct session *s)
{
	return s->milters != NULL && (s->milter_flags & CLEANUP_FLAG_DISCARD) == 0;
}

bool
milter_hand_over(struct session *s, struct err *err)
{
	return milters_send(s->milters, s->now, &s->tx->ipc, err);
}
