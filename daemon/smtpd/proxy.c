/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "dns/server_name.h"
#include "fiber/stream.h"
#include "mail/xtext.h"
#include "smtp/reply.h"

#include "session.h"
#include "transaction.h"

enum { XFORWARD_LINE_MAX = 510, COMMAND_MAX = 8192 };

struct proxy {
	struct stream *stream; /* NULL: lost */
	bool in_content;       /* DATA was taken: no command before the dot */
	bool in_line;
};

static const char broken_text[] = "451 4.3.0 Error: queue file write error";

static struct log *
log_of(const struct session *s)
{
	return s->smtpd->daemon->log;
}

/* ---- settings ---- */

bool
proxy_settings(struct smtpd *s, struct err *err)
{
	struct str name = s->config.smtpd_proxy_filter;
	struct str rest = s->config.smtpd_proxy_options;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		if (!str_ieq(word, STR("speed_adjust")))
			return err_set(err, ERR_CONFIG,
				       "unknown smtpd_proxy_options value \"" PRI_STR
				       "\"",
				       STR_ARG(word));
		if (name.len > 0)
			log_warning(s->daemon->log,
				    "smtpd_proxy_options=speed_adjust has no effect yet: "
				    "the filter hears the message as it comes in");
	}
	if (name.len == 0)
		return true;
	/* A port alone is this machine's. */
	if (name.p[0] == ':')
		name = str_skip(name, 1);
	if (!str_contains(name, ':'))
		name = str_concat(s->daemon->mem, STR("127.0.0.1:"), name);
	if (!server_name_parse(s->daemon->mem, name, &s->proxy_filter, err))
		return err_prefix(err, "smtpd_proxy_filter");
	s->has_filter = true;
	s->needs_tcp = s->needs_tcp || !s->proxy_filter.is_unix;
	return true;
}

/* ---- the dialogue ---- */

static bool
lost(struct session *s, struct proxy *p, enum stream_status status, struct str *reply_out)
{
	struct str name = s->smtpd->config.smtpd_proxy_filter;

	log_warning(log_of(s),
		    status == STREAM_TIMEOUT ? "timeout talking to proxy " PRI_STR
					     : "lost connection with proxy " PRI_STR,
		    STR_ARG(name));
	if (p->stream != NULL) {
		stream_discard_output(p->stream);
		stream_close(&p->stream);
	}
	*reply_out = str_from(broken_text);
	return false;
}

/* Lines with CR LF between, and nothing in them that does not print. */
static struct str
for_client(struct arena *mem, struct str text)
{
	struct buf *out = buf_new(mem, text.len * 2 + 1);

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\n')
			buf_add_c(out, "\r\n");
		else
			buf_add_char(out,
				     (unsigned char)text.p[i] < 32 || text.p[i] == 127
					     ? '?'
					     : text.p[i]);
	}
	return buf_str(out);
}

static bool
hear(struct session *s, struct proxy *p, enum proxy_wants wants, struct str said,
     struct str *reply_out)
{
	struct str name = s->smtpd->config.smtpd_proxy_filter;
	enum stream_status status;
	struct smtp_reply reply;

	switch (smtp_reply_read(p->stream, s->now, NULL, &reply, &status)) {
	case REPLY_READ:
		break;
	case REPLY_LOST:
		return lost(s, p, status, reply_out);
	case REPLY_BAD:
	case REPLY_FILTER_FAILED:
		log_warning(log_of(s), "received garbage from proxy " PRI_STR ": %.100s",
			    STR_ARG(name), str_c(s->now, reply.text));
		return lost(s, p, STREAM_ERROR, reply_out);
	}
	*reply_out = for_client(s->now, reply.text);
	if (wants == PROXY_ANY || reply.code / 100 == (int)wants)
		return true;
	log_warning(log_of(s),
		    "proxy " PRI_STR " rejected \"" PRI_STR "\": \"" PRI_STR "\"",
		    STR_ARG(name), STR_ARG(said), STR_ARG(*reply_out));
	/* A success that does not belong here would confuse the client. */
	if (reply.code < 400)
		*reply_out = str_from(broken_text);
	return false;
}

static bool
ask(struct session *s, struct proxy *p, enum proxy_wants wants, struct str command,
    struct str *reply_out)
{
	enum stream_status status;

	if (p->stream == NULL) {
		*reply_out = str_from(broken_text);
		return false;
	}
	status = stream_write(p->stream, command);
	if (status == STREAM_OK)
		status = stream_write(p->stream, STR("\r\n"));
	if (status == STREAM_OK)
		status = stream_flush(p->stream);
	if (status != STREAM_OK)
		return lost(s, p, status, reply_out);
	return hear(s, p, wants, command, reply_out);
}

/* ---- XFORWARD ---- */

struct attribute {
	const char *name;
	struct str value; /* "unknown" or empty: not known */
};

/* The attributes in the reply to EHLO, or none. */
static struct str
offered_names(struct str reply)
{
	struct str line;

	while (str_line(&reply, &line)) {
		struct str words = str_trim(str_skip(line, 4));
		struct str verb;

		if (str_token(&words, " \t", &verb) && str_ieq(verb, STR("XFORWARD")))
			return words;
	}
	return STR_EMPTY;
}

static bool
is_offered(struct str names, const char *name)
{
	struct str word;

	while (str_token(&names, " \t", &word)) {
		if (str_ieq(word, str_from(name)))
			return true;
	}
	return false;
}

static struct str
attribute_text(struct arena *mem, const struct attribute *a)
{
	bool known = a->value.len > 0 && !str_eq(a->value, STR("unknown"));
	bool v6 = known && str_eq(str_from(a->name), STR("ADDR")) &&
		  str_contains(a->value, ':');

	return str_printf(
		mem, " %s=%s" PRI_STR, a->name, v6 ? "IPV6:" : "",
		STR_ARG(known ? xtext_encode(mem, a->value) : STR("[UNAVAILABLE]")));
}

/* As many on a line as fit. */
static bool
forward_all(struct session *s, struct proxy *p, struct str offered,
	    const struct attribute *list, size_t n, struct str *reply_out)
{
	struct buf *line = buf_new(s->now, COMMAND_MAX);

	for (size_t i = 0; i < n; i++) {
		struct str text = attribute_text(s->now, &list[i]);

		if (!is_offered(offered, list[i].name))
			continue;
		if (line->len > 0 && line->len + text.len > XFORWARD_LINE_MAX) {
			if (!ask(s, p, PROXY_OK, buf_str(line), reply_out))
				return false;
			buf_clear(line);
		}
		if (line->len == 0)
			buf_add_c(line, "XFORWARD");
		buf_add(line, text);
	}
	return line->len == 0 || ask(s, p, PROXY_OK, buf_str(line), reply_out);
}

/* The client, or whom the client speaks for. */
static bool
forward(struct session *s, struct proxy *p, struct str offered, struct str *reply_out)
{
	const struct forward *f = &s->forward;
	struct str source = s->tx->local_rewrite ? STR("LOCAL") : STR("REMOTE");
	struct str proto = s->is_esmtp ? STR("ESMTP") : STR("SMTP");
	const struct attribute list[] = {
		{"NAME", f->said ? f->name : s->peer.name},
		{"ADDR", f->said ? f->address : s->peer.address},
		{"PORT", f->said ? f->port : s->peer.port},
		{"HELO", f->said ? f->helo : s->helo},
		{"IDENT", f->said ? f->ident : STR_EMPTY},
		{"PROTO", f->said ? f->proto : proto},
		{"SOURCE", source},
	};

	return forward_all(s, p, offered, list, ARRAY_LEN(list), reply_out);
}

/* ---- begin and end ---- */

static bool
connect_filter(struct session *s, struct proxy *p)
{
	struct smtpd *d = s->smtpd;
	int64_t timeout_ms = d->config.smtpd_proxy_timeout * 1000;
	struct err err;

	if (!server_name_connect(d->daemon->loop, s->now, &s->world.dns, &d->proxy_filter,
				 timeout_ms, &p->stream, &err)) {
		struct str text = str_from(err.text);

		if (str_starts(text, STR("connect: ")))
			text = str_skip(text, sizeof("connect: ") - 1);
		log_warning(log_of(s), "connect to proxy filter " PRI_STR ": " PRI_STR,
			    STR_ARG(d->config.smtpd_proxy_filter), STR_ARG(text));
		return false;
	}
	stream_set_timeout_ms(p->stream, timeout_ms);
	return true;
}

/* What comes before MAIL is between the two servers: no refusal of it is the client's. */
static bool
introduce(struct session *s, struct proxy *p)
{
	struct str ehlo = str_printf(s->now, "EHLO " PRI_STR,
				     STR_ARG(s->smtpd->config.smtpd_proxy_ehlo));
	struct str reply;

	return hear(s, p, PROXY_OK, STR("connection request"), &reply) &&
	       ask(s, p, PROXY_OK, ehlo, &reply) &&
	       forward(s, p, offered_names(reply), &reply);
}

bool
proxy_open(struct session *s, struct str *reply_out)
{
	struct transaction *tx = s->tx;
	struct proxy *p = ARENA_NEW(tx->mem, struct proxy);

	if (!connect_filter(s, p) || !introduce(s, p)) {
		*reply_out = str_from(broken_text);
		proxy_end(&p);
		return false;
	}
	if (!ask(s, p, PROXY_OK, tx->mail_line, reply_out)) {
		proxy_end(&p);
		return false;
	}
	tx->proxy = p;
	return true;
}

bool
proxy_command(struct session *s, enum proxy_wants wants, struct str command,
	      struct str *reply_out)
{
	struct proxy *p = s->tx->proxy;

	if (!ask(s, p, wants, command, reply_out))
		return false;
	p->in_content = wants == PROXY_MORE;
	return true;
}

void
proxy_text(struct session *s, struct str text, bool ends)
{
	struct proxy *p = s->tx->proxy;
	enum stream_status status = STREAM_OK;
	struct str reply;

	if (p->stream == NULL)
		return;
	if (!p->in_line && text.len > 0 && text.p[0] == '.')
		status = stream_write(p->stream, STR("."));
	if (status == STREAM_OK)
		status = stream_write(p->stream, text);
	if (status == STREAM_OK && ends)
		status = stream_write(p->stream, STR("\r\n"));
	p->in_line = !ends;
	/* Told at the end of the content. */
	if (status != STREAM_OK)
		IGNORE(lost(s, p, status, &reply));
}

bool
proxy_commit(struct session *s, struct str *reply_out)
{
	struct proxy *p = s->tx->proxy;
	bool ok = ask(s, p, PROXY_ANY, STR("."), reply_out);

	p->in_content = false;
	return ok && reply_out->len > 0 && reply_out->p[0] == '2';
}

void
proxy_end(struct proxy **p)
{
	struct stream *stream = *p == NULL ? NULL : (*p)->stream;

	if (stream != NULL) {
		/* Half a message must not look like a whole one. */
		if ((*p)->in_content)
			stream_discard_output(stream);
		else
			IGNORE(stream_write(stream, STR("QUIT\r\n")) == STREAM_OK);
		stream_close(&stream);
	}
	*p = NULL;
}
