/* SPDX-License-Identifier: Apache-2.0 */
#include "milter.h"

#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "dns/dns.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "milter/milter.h"
#include "queue/cleanup_status.h"

#include "cleanup.h"
#include "log.h"
#include "milter_edit.h"

enum { RESOLVER_MS = 60000 };

struct milter_talk {
	struct message *m;
	struct milters *milters;
	struct milter_world world;
	struct dns_asker dns;
	bool is_own;   /* of non_smtpd_milters: the envelope is told here */
	bool has_said; /* a verdict has ended it */
	struct str last_recipient;
	struct str client_name, client_address, protocol, helo;
};

bool
milter_load(struct cleanup *c, bool *needs_tcp_out, struct err *err)
{
	struct arena *mem = c->daemon->mem;

	if (!milter_settings_load(mem, c->daemon->config, &c->milter_settings, err) ||
	    !milter_list_parse(mem, &c->milter_settings, c->config.non_smtpd_milters,
			       &c->milters, err))
		return false;
	*needs_tcp_out = milter_list_needs_tcp(&c->milters);
	return true;
}

static struct milter_talk *
talk_of(struct message *m)
{
	struct milter_talk *t = m->talk;

	if (t != NULL)
		return t;
	t = ARENA_NEW(m->mem, struct milter_talk);
	t->m = m;
	t->last_recipient = STR_EMPTY;
	t->client_name = STR("localhost");
	t->client_address = STR("127.0.0.1");
	t->protocol = t->helo = STR_EMPTY;
	m->talk = t;
	return t;
}

/* ---- around the conversation ---- */

static void
warn(void *arg, struct str text)
{
	const struct milter_talk *t = arg;

	log_warning(t->m->cleanup->daemon->log, PRI_STR, STR_ARG(text));
}

static void
ask_dns(void *arg, struct arena *mem, struct str name, enum dns_type type, bool native,
	struct dns_answer *out)
{
	struct milter_talk *t = arg;
	struct stream *s = NULL;
	struct ipc ipc;
	struct err err;

	*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
				   .why = STR("resolver unavailable")};
	if (!daemon_connect(t->m->cleanup->daemon, "private/resolver", RESOLVER_MS, &s,
			    &err))
		return;
	stream_set_timeout_ms(s, RESOLVER_MS);
	ipc_init(&ipc, s);
	if (!dns_exchange(&ipc, mem, name, type, native, out, &err))
		*out = (struct dns_answer){.result = DNS_TRY_AGAIN,
					   .why = STR("resolver unavailable")};
	stream_close(&s);
}

static bool
find_macro(void *arg, struct arena *mem, struct str name, struct str *out)
{
	const struct milter_talk *t = arg;
	const struct cleanup *c = t->m->cleanup;
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"i", t->m->id},
		{"j", c->common.myhostname},
		{"v", c->milter_settings.config.milter_macro_v},
		{"daemon_name", c->milter_settings.config.milter_macro_daemon_name},
		{"daemon_addr", STR("127.0.0.1")},
		{"client_addr", STR("127.0.0.1")},
		{"client_name", STR("localhost")},
		{"client_ptr", STR("localhost")},
		{"client_resolve", STR("OK")},
		{"_", STR("localhost [127.0.0.1]")},
	};

	(void)mem;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(name, str_from(rows[i].name))) {
			*out = rows[i].value;
			return true;
		}
	*out = str_eq(name, STR("mail_addr")) ? t->m->sender : t->last_recipient;
	return (str_eq(name, STR("mail_addr")) && t->m->has_sender) ||
	       (str_eq(name, STR("rcpt_addr")) && t->last_recipient.len > 0);
}

static void
set_world(struct milter_talk *t)
{
	t->dns = (struct dns_asker){.ask = ask_dns, .arg = t};
	t->world = (struct milter_world){.loop = t->m->cleanup->daemon->loop,
					 .dns = &t->dns,
					 .macro = find_macro,
					 .warn = warn,
					 .arg = t};
}

/* ---- answers ---- */

static struct log_milter
about(const struct milter_talk *t, const char *stage)
{
	return (struct log_milter){.stage = stage,
				   .client_name = t->client_name,
				   .client_address = t->client_address,
				   .sender = t->m->sender,
				   .recipient = t->last_recipient,
				   .protocol = t->protocol,
				   .helo = t->helo};
}

static void
refuse(struct milter_talk *t, struct str reply, const char *stage)
{
	struct message *m = t->m;
	const struct log_milter line = about(t, stage);

	log_milter(m->cleanup->daemon->log, m->id, "milter-reject", &line,
		   str_skip(reply, 4));
	message_fail(m, reply.p[0] == '4' ? CLEANUP_DEFER : CLEANUP_CONT, reply);
}

/* True: go on. */
static bool
take_answer(struct milter_talk *t, const struct milter_answer *answer, const char *stage)
{
	struct message *m = t->m;
	struct log *log = m->cleanup->daemon->log;
	const struct log_milter line = about(t, stage);

	switch (answer->verdict) {
	case MILTER_CONTINUE:
		return true;
	case MILTER_REFUSE:
		/* Empty: our own side has failed, and said so. */
		if (answer->reply.len > 4)
			refuse(t, answer->reply, stage);
		break;
	case MILTER_SHUTDOWN:
		refuse(t, STR("421 4.7.0 Server closing connection"), stage);
		break;
	case MILTER_DISCARD:
		log_milter(log, m->id, "milter-discard", &line,
			   STR("milter triggers DISCARD action"));
		m->flags |= CLEANUP_FLAG_DISCARD;
		break;
	case MILTER_HOLD:
		/* Held once is enough. */
		if ((m->flags & CLEANUP_FLAG_HOLD) == 0)
			log_milter(log, m->id, "milter-hold", &line,
				   STR("milter triggers HOLD action"));
		m->flags |= CLEANUP_FLAG_HOLD;
		break;
	}
	t->has_said = true;
	return false;
}

/* ---- conversations of smtpd ---- */

void
milter_receive(struct message *m, struct ipc *ipc, struct str count)
{
	struct milter_talk *t = talk_of(m);
	struct err err;
	int64_t n;

	set_world(t);
	t->world.macro = NULL;
	if (t->milters != NULL || !str_to_i64(count, 0, MILTER_LIST_MAX, &n)) {
		message_fail(m, CLEANUP_BAD, STR("bad milter record"));
		return;
	}
	stream_accept_fds(ipc->stream);
	if (!milters_receive(m->mem, &m->cleanup->milter_settings, (size_t)n, &t->world,
			     ipc, &t->milters, &err)) {
		message_fail(m, CLEANUP_BAD, STR("bad milter connection"));
		log_warning(m->cleanup->daemon->log, PRI_STR ": %s", STR_ARG(m->id),
			    err.text);
	}
}

void
milter_attribute(struct message *m, struct str name, struct str value)
{
	struct milter_talk *t;

	if ((m->flags & CLEANUP_FLAG_MILTER) == 0)
		return;
	t = talk_of(m);
	value = str_dup(m->mem, value);
	if (str_eq(name, STR("client_name")))
		t->client_name = value;
	else if (str_eq(name, STR("client_address")))
		t->client_address = value;
	else if (str_eq(name, STR("protocol_name")))
		t->protocol = value;
	else if (str_eq(name, STR("helo_name")))
		t->helo = value;
}

/* ---- mail that did not come by SMTP ---- */

/* Such mail has no client: one is made up, as from this machine. */
static bool
is_own(const struct message *m)
{
	return (m->flags & CLEANUP_FLAG_MILTER) != 0 &&
	       (m->flags & CLEANUP_FLAG_SMTP_REPLY) == 0 && m->cleanup->milters.n > 0;
}

void
milter_sender(struct message *m)
{
	const struct milter_client client = {
		.name = STR("localhost"), .address = STR("127.0.0.1"), .family = AF_INET};
	struct milter_talk *t;
	struct milter_answer answer;

	if (!is_own(m))
		return;
	t = talk_of(m);
	set_world(t);
	t->is_own = true;
	t->milters = milters_new(m->mem, &m->cleanup->milter_settings,
				 &m->cleanup->milters, &t->world);
	answer = milters_connect(t->milters, m->mem, &client);
	if (!take_answer(t, &answer, "CONNECT"))
		return;
	answer = milters_helo(t->milters, m->mem, STR("localhost"));
	if (!take_answer(t, &answer, "HELO"))
		return;
	answer = milters_mail(t->milters, m->mem, &m->sender, 1);
	IGNORE(take_answer(t, &answer, "MAIL"));
}

void
milter_recipient(struct message *m, struct str address)
{
	struct milter_talk *t;
	struct milter_answer answer;

	if ((m->flags & CLEANUP_FLAG_MILTER) == 0)
		return;
	t = talk_of(m);
	t->last_recipient = str_dup(m->mem, address);
	if (!t->is_own || t->has_said)
		return;
	answer = milters_rcpt(t->milters, m->mem, &t->last_recipient, 1);
	if (take_answer(t, &answer, "RCPT") || answer.verdict != MILTER_REFUSE ||
	    answer.reply.len == 0 || answer.reply.p[0] != '5')
		return;
	/* There is no way to return mail to one recipient only. */
	log_milter_recipient(m->cleanup->daemon->log, m->id);
	m->status = CLEANUP_OK;
	message_fail(m, CLEANUP_WRITE, STR_EMPTY);
}

/* ---- the message ---- */

void
milter_inspect(struct message *m)
{
	struct milter_talk *t = m->talk;
	struct milter_source source;
	struct milter_changes changes;
	struct milter_answer answer;

	if (t == NULL || t->milters == NULL || t->has_said || m->status != CLEANUP_OK ||
	    (m->flags & CLEANUP_FLAG_DISCARD) != 0)
		return;
	if (t->is_own) {
		answer = milters_data(t->milters, m->mem);
		if (!take_answer(t, &answer, "DATA"))
			return;
	}
	IGNORE(milter_edit_new(m, &source, &changes) != NULL);
	answer = milters_message(t->milters, m->mem, &source, &changes);
	IGNORE(take_answer(t, &answer, "END-OF-MESSAGE"));
	/* Nobody is left to get it. */
	if (m->status == CLEANUP_OK && m->n_recipients > 0 && m->writer.rcpt_count == 0)
		m->flags |= CLEANUP_FLAG_DISCARD;
}

void
milter_end(struct message *m)
{
	if (m->talk != NULL)
		milters_free(&m->talk->milters);
}
