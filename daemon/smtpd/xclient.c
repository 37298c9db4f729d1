/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XCLIENT: the client says who it is. XFORWARD: the client says for whom it speaks, for
 * the log and the queue file only (facts: protocols 9).
 */
#include <sys/socket.h>

#include "base/arena.h"
#include "base/macros.h"

#include "smtp/server_attribute.h"

#include "auth.h"
#include "milter.h"
#include "peer.h"
#include "session.h"

static bool
may_use(struct session *s, const struct smtp_words *words, bool is_xclient,
	struct smtp_attributes *out)
{
	struct str reply;

	if (s->tx != NULL) {
		session_reply_c(s, "503 5.5.1 Error: MAIL transaction in progress");
		return false;
	}
	if (!(is_xclient ? s->may_xclient : s->may_xforward)) {
		session_reply_c(s, "550 5.7.0 Error: insufficient authorization");
		return false;
	}
	if (!smtp_attributes_parse(s->now, words, is_xclient, s->smtpd->ipv4,
				   s->smtpd->ipv6, out, &reply)) {
		session_reply(s, reply);
		return false;
	}
	return true;
}

/* A name of the client; which says how it is known. */
static void
set_name(struct session *s, const struct smtp_attributes *a, enum smtp_attribute which,
	 struct str *name, enum access_name *status)
{
	switch (a->known[which]) {
	case SMTP_NOT_SAID:
		break;
	case SMTP_SAID:
		*name = str_dup(s->mem, a->value[which]);
		*status = ACCESS_NAME_OK;
		break;
	case SMTP_UNAVAILABLE:
		*name = STR("unknown");
		*status = ACCESS_NAME_PERM;
		break;
	case SMTP_TEMPUNAVAIL:
		*name = STR("unknown");
		*status = ACCESS_NAME_TEMP;
		break;
	}
}

static void
set_text(struct arena *mem, const struct smtp_attributes *a, enum smtp_attribute which,
	 struct str *out)
{
	if (a->known[which] == SMTP_SAID)
		*out = str_dup(mem, a->value[which]);
	else if (a->known[which] != SMTP_NOT_SAID)
		*out = STR("unknown");
}

static void
set_peer(struct session *s, const struct smtp_attributes *a)
{
	struct peer *p = &s->peer;

	set_name(s, a, SMTP_ATTRIBUTE_NAME, &p->name, &p->name_status);
	/* The name that was verified is also the one before verification. */
	if (a->known[SMTP_ATTRIBUTE_NAME] == SMTP_SAID)
		set_name(s, a, SMTP_ATTRIBUTE_NAME, &p->reverse_name, &p->reverse_status);
	set_name(s, a, SMTP_ATTRIBUTE_REVERSE_NAME, &p->reverse_name, &p->reverse_status);
	set_text(s->mem, a, SMTP_ATTRIBUTE_ADDR, &p->address);
	set_text(s->mem, a, SMTP_ATTRIBUTE_PORT, &p->port);
	set_text(s->mem, a, SMTP_ATTRIBUTE_DESTADDR, &p->server_address);
	set_text(s->mem, a, SMTP_ATTRIBUTE_DESTPORT, &p->server_port);
	if (a->known[SMTP_ATTRIBUTE_ADDR] == SMTP_SAID) {
		p->family = str_contains(p->address, ':') ? AF_INET6 : AF_INET;
		p->is_local = false;
	} else if (a->known[SMTP_ATTRIBUTE_ADDR] != SMTP_NOT_SAID) {
		p->family = AF_UNSPEC;
	}
	peer_set_text(s);
}

bool
command_xclient(struct session *s, const struct smtp_words *words)
{
	struct smtp_attributes a;

	if (!may_use(s, words, true, &a))
		return false;
	if (s->has_helo && a.known[SMTP_ATTRIBUTE_HELO] == SMTP_NOT_SAID)
		milter_abort(s);
	milter_leave(s);
	set_peer(s, &a);
	/* As if it had just connected. */
	session_forget(s);
	s->is_esmtp = false;
	if (a.known[SMTP_ATTRIBUTE_HELO] == SMTP_SAID) {
		session_set_helo(s, a.value[SMTP_ATTRIBUTE_HELO]);
		s->has_helo = true;
	}
	if (a.known[SMTP_ATTRIBUTE_PROTO] == SMTP_SAID)
		s->is_esmtp = str_ieq(a.value[SMTP_ATTRIBUTE_PROTO], STR("ESMTP"));
	/* For log and queue file; it permits nothing where AUTH is not active. */
	auth_forget(s);
	if (a.known[SMTP_ATTRIBUTE_LOGIN] == SMTP_SAID) {
		s->sasl_method = STR("XCLIENT");
		s->sasl_username = str_printable(s->mem, a.value[SMTP_ATTRIBUTE_LOGIN],
						 s->smtpd->common.smtputf8_enable);
	}
	session_know_client(s);
	milter_session_start(s);
	s->restarted = true;
	command_greet(s);
	return s->end == SESSION_RUNS;
}

bool
command_xforward(struct session *s, const struct smtp_words *words)
{
	struct forward *f = &s->forward;
	struct smtp_attributes a;

	if (!may_use(s, words, false, &a))
		return false;
	if (s->forward_mem == NULL)
		s->forward_mem = arena_new_child(s->mem);
	f->said = true;
	set_text(s->forward_mem, &a, SMTP_ATTRIBUTE_NAME, &f->name);
	set_text(s->forward_mem, &a, SMTP_ATTRIBUTE_ADDR, &f->address);
	set_text(s->forward_mem, &a, SMTP_ATTRIBUTE_PORT, &f->port);
	set_text(s->forward_mem, &a, SMTP_ATTRIBUTE_PROTO, &f->proto);
	if (a.known[SMTP_ATTRIBUTE_HELO] != SMTP_NOT_SAID)
		f->helo = a.known[SMTP_ATTRIBUTE_HELO] == SMTP_SAID
				  ? str_dup(s->forward_mem, a.value[SMTP_ATTRIBUTE_HELO])
				  : STR_EMPTY;
	set_text(s->forward_mem, &a, SMTP_ATTRIBUTE_IDENT, &f->ident);
	if (a.known[SMTP_ATTRIBUTE_SOURCE] == SMTP_SAID)
		f->source = str_ieq(a.value[SMTP_ATTRIBUTE_SOURCE], STR("LOCAL"))
				    ? FORWARD_SOURCE_LOCAL
				    : FORWARD_SOURCE_REMOTE;
	session_reply_c(s, "250 2.0.0 Ok");
	return true;
}
