/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "dns/dns.h"
#include "fiber/fiber.h"
#include "table/maps.h"
#include "table/match.h"
#include "tls/session.h"

#include "auth.h"
#include "delegate.h"
#include "ehlo.h"
#include "limits.h"
#include "log.h"
#include "milter.h"
#include "peer.h"
#include "stress.h"
#include "tls.h"
#include "transaction.h"
#include "verify.h"

enum { RESOLVER_MS = 60000, REPLY_CODE = 3, REPLY_CODE_421 = 421, REPLY_CODE_521 = 521 };

static command_fn *const commands[SMTP_VERBS] = {
	[SMTP_VERB_HELO] = command_helo,         [SMTP_VERB_EHLO] = command_ehlo,
	[SMTP_VERB_XCLIENT] = command_xclient,   [SMTP_VERB_XFORWARD] = command_xforward,
	[SMTP_VERB_STARTTLS] = command_starttls, [SMTP_VERB_AUTH] = command_auth,
	[SMTP_VERB_MAIL] = command_mail,         [SMTP_VERB_RCPT] = command_rcpt,
	[SMTP_VERB_DATA] = command_data,         [SMTP_VERB_BDAT] = command_bdat,
	[SMTP_VERB_RSET] = command_rset,         [SMTP_VERB_NOOP] = command_noop,
	[SMTP_VERB_VRFY] = command_vrfy,         [SMTP_VERB_ETRN] = command_etrn,
	[SMTP_VERB_QUIT] = command_quit,         [SMTP_VERB_HELP] = command_help,
};

static struct log *
log_of(const struct session *s)
{
	return s->smtpd->daemon->log;
}

/* ---- replies ---- */

/* Clients that make errors wait for each reply. */
static void
slow_down(struct session *s)
{
	const struct smtpd_config *c = &s->smtpd->config;

	if (s->errors < c->smtpd_soft_error_limit || c->smtpd_error_sleep_time == 0)
		return;
	if (stream_flush(s->client) == STREAM_OK)
		IGNORE(fiber_sleep(s->smtpd->daemon->loop,
				   c->smtpd_error_sleep_time * 1000));
}

/* Replies quote what the client said: a control byte of its own must not reach it, as a
 * bare CR could end a line for somebody. Only our own line ends stay. */
static struct str
without_control(struct arena *mem, struct str reply)
{
	char *copy = NULL;

	for (size_t i = 0; i < reply.len; i++) {
		unsigned char c = (unsigned char)reply.p[i];

		if (c == '\r' && i + 1 < reply.len && reply.p[i + 1] == '\n') {
			i++;
		} else if ((c < ' ' && c != '\t') || c == 127) {
			if (copy == NULL)
				copy = str_c(mem, reply);
			copy[i] = '?';
		}
	}
	return copy != NULL ? str_from_mem(copy, reply.len) : reply;
}

/* soft_bounce, and the footer of refusals. */
static struct str
finish_reply(struct session *s, struct str reply)
{
	struct access_request request;

	reply = access_soften(s->smtpd->access, s->now, reply);
	if (reply.len == 0 || (reply.p[0] != '4' && reply.p[0] != '5'))
		return reply;
	request = session_request(s);
	return access_footer(s->access, s->now, &request, reply);
}

/* answer: the access list's, if it is that. */
static void
say(struct session *s, struct str reply, const struct access_answer *answer)
{
	enum stream_status status;
	int64_t code = 0;

	if (s->end != SESSION_RUNS)
		return;
	reply = without_control(s->now, finish_reply(s, reply));
	transcript_reply(s, reply, answer);
	slow_down(s);
	status = stream_write(s->client, reply);
	if (status == STREAM_OK)
		status = stream_write(s->client, STR("\r\n"));
	if (status != STREAM_OK) {
		s->end = status == STREAM_TIMEOUT ? SESSION_TIMEOUT : SESSION_LOST;
		return;
	}
	IGNORE(str_to_i64(str_head(reply, REPLY_CODE), 0, 999, &code));
	if (code == REPLY_CODE_421 || code == REPLY_CODE_521)
		s->end = SESSION_CLOSED;
}

void
session_reply(struct session *s, struct str reply)
{
	say(s, reply, NULL);
}

void
session_reply_c(struct session *s, const char *reply)
{
	session_reply(s, str_from(reply));
}

bool
session_accepts(struct session *s, const struct access_answer *answer)
{
	switch (answer->result) {
	case ACCESS_OK:
		return true;
	case ACCESS_REFUSED:
		s->refusal = answer->reply;
		say(s, answer->reply, answer);
		if (answer->closes)
			s->end = SESSION_CLOSED;
		break;
	case ACCESS_HANG_UP:
		s->end = SESSION_CLOSED;
		break;
	}
	return false;
}

/* ---- what the access lists see ---- */

struct str
session_protocol(const struct session *s)
{
	return s->is_esmtp ? STR("ESMTP") : STR("SMTP");
}

struct access_request
session_request(const struct session *s)
{
	const struct transaction *tx = s->tx;
	struct access_request r = {
		.client_name = s->peer.name,
		.client_reverse_name = s->peer.reverse_name,
		.client_address = s->peer.address,
		.client_port = s->peer.port,
		.client_name_status = s->peer.name_status,
		.client_reverse_name_status = s->peer.reverse_status,
		.is_local = s->peer.is_local,
		.server_address = s->peer.server_address,
		.server_port = s->peer.server_port,
		.has_helo = s->has_helo,
		.is_esmtp = s->is_esmtp,
		.helo = s->helo,
		.protocol = session_protocol(s),
		.is_tls = s->is_tls,
		.tls_protocol = s->tls->protocol,
		.tls_cipher = s->tls->cipher,
		.tls_cipher_bits = s->tls->used_bits,
		.has_ccert = s->tls->has_certificate,
		.ccert_is_trusted = s->tls->is_trusted,
		.ccert_subject = s->tls->subject,
		.ccert_issuer = s->tls->issuer,
		.ccert_fingerprint = s->tls->certificate_fingerprint,
		.ccert_key_fingerprint = s->tls->key_fingerprint,
		.is_authenticated = auth_is_active(s) && s->sasl_username.len > 0,
		.sasl_method = s->sasl_method,
		.sasl_username = s->sasl_username,
		.sasl_sender = STR_EMPTY,
		.sender = STR_EMPTY,
		.recipient = STR_EMPTY,
		.queue_id = STR_EMPTY,
		.etrn_domain = STR_EMPTY,
		.stress = s->smtpd->config.stress,
		.client_text = s->peer.text,
	};

	r.instance = session_instance(s);
	r.input_waiting = stream_buffered(s->client) > 0;
	if (tx == NULL)
		return r;
	r.has_sender = true;
	r.sender = tx->mail.address;
	r.sasl_sender = tx->mail.auth;
	r.recipient_count = tx->n_recipients;
	r.queue_id = tx->id;
	r.smtputf8 = tx->mail.smtputf8;
	r.size = MAX_OF(tx->mail.size, (int64_t)0);
	return r;
}

static bool
open_resolver(struct session *s, struct err *err)
{
	if (s->resolver != NULL)
		return true;
	if (!daemon_connect(s->smtpd->daemon, "private/resolver", RESOLVER_MS,
			    &s->resolver, err))
		return false;
	stream_set_timeout_ms(s->resolver, RESOLVER_MS);
	ipc_init(&s->resolver_ipc, s->resolver);
	return true;
}

static void
ask_dns(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
	struct dns_answer *out)
{
	struct session *s = arg;
	bool was_open = s->resolver != NULL;
	struct err err;

	name = str_lower(mem, name);
	if (open_resolver(s, &err) &&
	    dns_exchange(&s->resolver_ipc, mem, name, type, native, out, &err))
		return;
	/* Between two questions the resolver may have been replaced (reload). */
	stream_close(&s->resolver);
	if (was_open && open_resolver(s, &err) &&
	    dns_exchange(&s->resolver_ipc, mem, name, type, native, out, &err))
		return;
	log_warning(log_of(s), "resolver: %s", err.text);
	stream_close(&s->resolver);
	*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
				   .why = STR("resolver unavailable")};
}

static void
write_log(void *arg, enum log_level level, struct str text)
{
	log_write(log_of(arg), level, PRI_STR, STR_ARG(text));
}

static void
sleep_for(void *arg, int64_t seconds)
{
	struct session *s = arg;

	IGNORE(fiber_sleep(s->smtpd->daemon->loop, seconds * 1000));
}

/* ---- input ---- */

void
session_broken(struct session *s, enum stream_status status)
{
	if (s->end != SESSION_RUNS)
		return;
	if (status == STREAM_TIMEOUT) {
		session_reply(s,
			      str_printf(s->now,
					 "421 4.4.2 " PRI_STR " Error: timeout exceeded",
					 STR_ARG(s->smtpd->common.myhostname)));
		s->end = SESSION_TIMEOUT;
	} else if (status == STREAM_CANCELLED) {
		session_reply(s, str_printf(s->now,
					    "421 4.3.2 " PRI_STR " Service shutting down",
					    STR_ARG(s->smtpd->common.myhostname)));
		s->end = SESSION_CLOSED;
	} else {
		s->end = SESSION_LOST;
	}
}

bool
session_check_pipelining(struct session *s)
{
	if (!stream_has_input(s->client))
		return true;
	/* True also at the end of input: that is no pipelining. */
	if (stream_buffered(s->client) == 0)
		return true;
	if (!s->told_of_pipelining)
		log_pipelining(log_of(s), s->where, s->peer.text, stream_peek(s->client));
	s->told_of_pipelining = true;
	if (!s->smtpd->config.smtpd_forbid_unauth_pipelining)
		return true;
	session_reply_c(s, "554 5.5.0 Error: SMTP protocol synchronization");
	s->end = SESSION_CLOSED;
	return false;
}

/* Throw away the rest of a line, but not without end. */
static bool
skip_rest_of_line(struct session *s, size_t limit)
{
	enum { PARTS_MAX = 1000 };

	for (int i = 0; i < PARTS_MAX; i++) {
		enum stream_status status;
		struct str part;

		status = stream_read_line(s->client, limit, &part);
		if (status == STREAM_OK)
			return true;
		if (status != STREAM_TOO_LONG) {
			session_broken(s, status);
			return false;
		}
	}
	session_reply(s,
		      str_printf(s->now, "421 4.7.0 " PRI_STR " Error: too many errors",
				 STR_ARG(s->smtpd->common.myhostname)));
	s->end = SESSION_TOO_MANY;
	return false;
}

/* The next command line; false: none (a reply may have been given; the session may go
 * on). */
static bool
read_line(struct session *s, struct str *line_out)
{
	size_t limit = (size_t)s->smtpd->common.line_length_limit;
	enum stream_status status = stream_read_line(s->client, limit, line_out);

	if (status == STREAM_TOO_LONG) {
		*line_out = str_dup(s->now, *line_out);
		transcript_command(s, *line_out);
		log_long_line(log_of(s), s->peer.text, limit, *line_out);
		if (skip_rest_of_line(s, limit))
			session_reply(s,
				      str_printf(s->now,
						 "500 5.5.2 " PRI_STR
						 " Error: command too long",
						 STR_ARG(s->smtpd->common.myhostname)));
		return false;
	}
	if (status != STREAM_OK) {
		session_broken(s, status);
		return false;
	}
	*line_out = str_dup(s->now, *line_out);
	transcript_command(s, *line_out);
	return true;
}

/* A line that ends in LF alone: false if that is the end of the session. */
static bool
accept_line_end(struct session *s)
{
	const struct smtpd_config *c = &s->smtpd->config;
	struct access_request request;
	struct str line;

	if (stream_line_end(s->client) != STREAM_EOL_LF || s->accepts_any_newline)
		return true;
	s->noted_bare_lf = s->smtpd->newlines == NEWLINE_NOTE;
	if (s->smtpd->newlines != NEWLINE_REJECT)
		return true;
	request = session_request(s);
	line = access_log_line(s->now, &request, ACCESS_CONNECT, "reject",
			       STR("bare <LF> received"));
	log_info(log_of(s), PRI_STR, STR_ARG(line));
	session_reply(s,
		      str_printf(s->now, "%d 5.5.2 " PRI_STR " Error: bare <LF> received",
				 c->smtpd_forbid_bare_newline_reject_code,
				 STR_ARG(s->smtpd->common.myhostname)));
	s->end = SESSION_CLOSED;
	return false;
}

bool
session_read_response(struct session *s, size_t limit, struct str *line_out)
{
	enum stream_status status = stream_read_line(s->client, limit - 1, line_out);

	if (status == STREAM_TOO_LONG) {
		*line_out = str_dup(s->now, *line_out);
		log_long_line(log_of(s), s->peer.text, limit, *line_out);
		if (skip_rest_of_line(s, limit))
			session_reply_c(s, "500 5.5.6 SASL response limit exceeded");
		return false;
	}
	if (status != STREAM_OK) {
		session_broken(s, status);
		return false;
	}
	transcript_secret(s);
	*line_out = str_dup(s->now, *line_out);
	return accept_line_end(s);
}

/* smtpd_command_filter: the line that stands for this one. False: it could not be asked.
 */
static bool
filter_line(struct session *s, struct str *line)
{
	struct maps_hit hit;
	struct err err;

	switch (maps_find(s->smtpd->command_filter, s->now, *line, MAPS_ALL, &hit,
			  &err)) {
	case LOOKUP_FOUND:
		*line = hit.value;
		return true;
	case LOOKUP_ABSENT:
		return true;
	case LOOKUP_FAILED:
		break;
	}
	log_warning(log_of(s), "%s", err.text);
	session_reply_c(s, "451 4.3.0 Error: temporary lookup failure");
	return false;
}

/* ---- commands ---- */

/* A list that does not answer lists nothing, and the log says so. */
static bool
matches(struct session *s, enum match_result result, const struct err *err)
{
	if (result == MATCH_FAILED)
		log_warning(log_of(s), "%s", err->text);
	return result == MATCH_YES;
}

static bool
in_list(struct session *s, struct match *list, struct str word)
{
	struct err err;

	return matches(s, match_find(list, word, NULL, &err), &err);
}

static void
count_junk(struct session *s)
{
	if (s->junk++ > s->smtpd->config.smtpd_junk_command_limit)
		s->errors++;
}

static void
unknown_command(struct session *s, struct str line, struct str word)
{
	s->where = smtp_verb_name(SMTP_VERBS);
	s->counts[SMTP_VERBS].total++;
	s->errors++;
	if (smtp_is_header_like(word) || in_list(s, s->smtpd->forbidden_commands, word)) {
		log_forbidden(log_of(s), s->peer.text, line);
		session_reply_c(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		s->end = SESSION_CLOSED;
		return;
	}
	if (milter_tell_unknown(s, word))
		session_reply_c(s, "500 5.5.2 Error: command not recognized");
}

static void
run_command(struct session *s, enum smtp_verb verb, const struct smtp_words *words)
{
	bool waits = !s->is_esmtp || (smtp_verb_flags(verb) & SMTP_VERB_LAST) != 0;

	s->where = smtp_verb_name(verb);
	s->counts[verb].total++;
	if (s->smtpd->tls->enforces && !s->is_tls &&
	    (smtp_verb_flags(verb) & SMTP_VERB_PLAIN) == 0) {
		session_reply_c(s, "530 5.7.0 Must issue a STARTTLS command first");
		s->errors++;
		return;
	}
	if (waits && !session_check_pipelining(s)) {
		s->errors++;
		return;
	}
	s->restarted = false;
	if (!commands[verb](s, words))
		s->errors++;
	else if (!s->restarted)
		s->counts[verb].ok++;
	if ((smtp_verb_flags(verb) & SMTP_VERB_JUNK) != 0)
		count_junk(s);
}

static void
take_line(struct session *s, struct str line)
{
	struct smtp_words words;
	enum smtp_verb verb;

	if (maps_count(s->smtpd->command_filter) > 0 && !filter_line(s, &line)) {
		s->errors++;
		return;
	}
	if (s->smtpd->common.smtputf8_enable && !str_is_utf8(line)) {
		session_reply_c(s, "500 5.5.2 Error: bad UTF-8 syntax");
		s->errors++;
		return;
	}
	s->line = line;
	smtp_words_split(s->now, line, &words);
	if (words.n == 0) {
		session_reply_c(s, "500 5.5.2 Error: bad syntax");
		s->errors++;
		return;
	}
	if (in_list(s, s->smtpd->noop_commands, words.word[0])) {
		session_reply_c(s, "250 2.0.0 Ok");
		count_junk(s);
		return;
	}
	verb = smtp_verb_find(words.word[0]);
	if (verb == SMTP_VERBS)
		unknown_command(s, line, words.word[0]);
	else
		run_command(s, verb, &words);
}

static void
converse(struct session *s)
{
	while (s->end == SESSION_RUNS) {
		struct str line;

		if (s->errors >= s->smtpd->config.smtpd_hard_error_limit) {
			session_reply(s,
				      str_printf(s->now,
						 "421 4.7.0 " PRI_STR
						 " Error: too many errors",
						 STR_ARG(s->smtpd->common.myhostname)));
			s->end = SESSION_TOO_MANY;
			break;
		}
		if (read_line(s, &line) && accept_line_end(s))
			take_line(s, line);
		/* Nobody needs it while we wait. */
		stream_close(&s->resolver);
		arena_reset(s->now);
		stream_idle(s->client);
	}
}

/* ---- the whole ---- */

void
session_set_helo(struct session *s, struct str helo)
{
	struct str cut = str_head(helo, SESSION_HELO_MAX);

	if (cut.len > 0)
		memcpy(s->helo_text, cut.p, cut.len);
	s->helo = str_from_mem(s->helo_text, cut.len);
}

void
session_forget(struct session *s)
{
	session_reset(s);
	access_end_session(s->access);
	session_set_helo(s, STR_EMPTY);
	s->has_helo = false;
	s->sasl_method = s->sasl_username = STR_EMPTY;
}

void
session_reset(struct session *s)
{
	if (s->tx != NULL)
		milter_abort(s);
	transaction_end(&s->tx);
	access_end_transaction(s->access);
	s->bdat_failed = false;
	transcript_turn(s);
}

static bool
is_listed(struct session *s, struct match *list)
{
	struct err err;

	return matches(s,
		       match_find_host(list, s->peer.name, s->peer.address, NULL, &err),
		       &err);
}

/* EHLO keywords that this client is not offered. */
static void
find_discarded(struct session *s)
{
	struct smtpd *d = s->smtpd;
	struct str text = d->config.smtpd_discard_ehlo_keywords;
	struct str names;
	struct maps_hit hit;
	struct err err;

	switch (maps_find(d->discard_maps, s->now, s->peer.address, MAPS_ALL, &hit,
			  &err)) {
	case LOOKUP_FOUND:
		text = hit.value;
		break;
	case LOOKUP_ABSENT:
		break;
	case LOOKUP_FAILED:
		log_warning(log_of(s), "%s", err.text);
		break;
	}
	s->discarded = ehlo_keywords_parse(s->now, text, &names);
	if (names.len > 0)
		log_discarding(log_of(s), names);
}

void
session_know_client(struct session *s)
{
	struct smtpd *d = s->smtpd;

	s->may_xclient = is_listed(s, d->xclient_hosts);
	s->may_verp = is_listed(s, d->verp_hosts);
	s->accepts_any_newline =
		d->newlines == NEWLINE_ANY || is_listed(s, d->newline_exclusions);
	find_discarded(s);
}

/* Why it ended before its time; NULL: it did not. */
static const char *
reason_of(const struct session *s)
{
	switch (s->end) {
	case SESSION_RUNS:
	case SESSION_CLOSED:
		break;
	case SESSION_LOST:
		return "lost connection";
	case SESSION_TIMEOUT:
		return "timeout";
	case SESSION_TOO_MANY:
		return "too many errors";
	}
	return NULL;
}

static void
say_end(struct session *s)
{
	const char *reason = reason_of(s);
	int64_t bytes = s->ended_in_content ? s->bytes_at_end : -1;

	if (reason == NULL)
		return;
	/* After the end of a message many just go. */
	if (s->end != SESSION_LOST || !str_eq(str_from(s->where), STR("END-OF-MESSAGE")))
		log_end(log_of(s), reason, s->where, bytes, s->peer.text);
}

static void
prepare(struct session *s, struct stream *client)
{
	struct smtpd *d = s->smtpd;

	s->mem = arena_new();
	s->now = arena_new_child(s->mem);
	s->client = client;
	transcript_begin(s);
	s->helo = s->sasl_names = STR_EMPTY;
	s->tls = tls_info_none();
	auth_forget(s);
	s->milter_greeting = s->milter_sender = s->milter_rcpt = s->refusal = STR_EMPTY;
	s->where = "CONNECT";
	s->world = (struct access_world){.has_proxy = d->has_filter,
					 .dns = {.ask = ask_dns, .arg = s},
					 .log = write_log,
					 .log_arg = s,
					 .sleep = sleep_for,
					 .sleep_arg = s};
	delegate_prepare(s);
	verify_prepare(s);
	s->access = access_new(s->mem, d->access, &s->world);
	stream_set_timeout_ms(client, d->config.smtpd_timeout * 1000);
}

void
session_run(struct daemon *d, struct stream *client)
{
	struct smtpd *smtpd = stress_choose(d->state, d->n_sessions);
	struct session s = {.smtpd = smtpd};
	struct str port;
	bool known;

	prepare(&s, client);
	known = peer_find(&s);
	port = smtpd->config.smtpd_client_port_logging ? s.peer.port : STR_EMPTY;
	log_connect(d->log, s.peer.text, port);
	session_know_client(&s);
	/* Not again after XCLIENT: it is the peer that may speak for others. */
	s.may_xforward = is_listed(&s, smtpd->xforward_hosts);
	limits_begin(&s);
	if (!known || !starttls_wrap(&s) || !auth_start(&s))
		session_reply(&s, str_printf(s.now,
					     "421 4.3.0 " PRI_STR " Server local error",
					     STR_ARG(smtpd->common.myhostname)));
	else if (limits_connect(&s)) {
		milter_session_start(&s);
		command_greet(&s);
	}
	converse(&s);
	IGNORE(stream_flush(client) == STREAM_OK);
	say_end(&s);
	transcript_end(&s, reason_of(&s));
	limits_disconnect(&s);
	log_disconnect(d->log, s.peer.text, port, s.counts, s.noted_bare_lf);
	session_reset(&s);
	if (s.has_helo && s.milters != NULL)
		milter_abort(&s);
	milter_leave(&s);
	stream_close(&s.resolver);
	arena_free(&s.mem);
	/* No other session comes: let the loop end. */
	if (d->stand_alone)
		delegate_drain(smtpd);
}
