/* SPDX-License-Identifier: Apache-2.0 */
/* The types whose work is done in the daemon saslauth: a connection to it per log-in. */
#include "base/buf.h"

#include "fiber/stream.h"
#include "ipc/messages.h"
#include "sasl/server_internal.h"

enum { CONNECT_MS = 10000 };

static bool
reach(struct sasl_server *server, struct stream **stream, struct ipc *ipc,
      struct err *err)
{
	if (!server->setup.connect(server->setup.connect_arg, "private/saslauth",
				   CONNECT_MS, stream, err))
		return false;
	stream_set_timeout_ms(*stream, SASL_SERVER_MS);
	ipc_init(ipc, *stream);
	return true;
}

/* Only those that the options allow; libsasl2 has looked at them, too. */
static struct str
filter(struct arena *mem, const struct sasl_peer *peer, struct str names)
{
	struct buf *out = buf_new(mem, (size_t)SASL_MECHANISMS_MAX * (SASL_NAME_MAX + 1));
	struct str word;

	while (str_token(&names, " ", &word)) {
		unsigned properties = 0;

		if (!sasl_name_is_valid(word) ||
		    (sasl_mechanism_find(word, &properties) &&
		     !sasl_security_allows(&peer->options, properties)))
			continue;
		buf_printf(out, "%s" PRI_STR, out->len > 0 ? " " : "", STR_ARG(word));
	}
	return buf_str(out);
}

static bool
mechanisms(struct sasl_server *server, struct arena *mem, const struct sasl_peer *peer,
	   struct str *names_out, struct err *err)
{
	const struct sasl_server_setup *setup = &server->setup;
	const struct msg_sasl_list request = {.type = setup->type,
					      .application = setup->path,
					      .maps = setup->maps,
					      .realm = setup->realm,
					      .security = peer->security,
					      .config_path = setup->config_path};
	struct str *cached = &server->service_names[peer->is_tls ? 1 : 0];
	struct stream *stream = NULL;
	struct msg_sasl_names names;
	struct ipc ipc;
	bool ok;

	if (cached->len > 0) {
		*names_out = *cached;
		return true;
	}
	ok = reach(server, &stream, &ipc, err) &&
	     ipc_send(&ipc, &ipc_sasl_list, &request, err) &&
	     ipc_receive(&ipc, mem, &ipc_sasl_names, &names, err) == IPC_DONE;
	stream_close(&stream);
	if (!ok)
		return err_prefix(err, "saslauth");
	if (names.trouble.len > 0)
		return err_set(err, ERR_TEMP, "saslauth: " PRI_STR,
			       STR_ARG(names.trouble));
	*cached = str_dup(server->mem, filter(mem, peer, names.names));
	*names_out = *cached;
	return true;
}

/* The answer to what was sent. */
static void
receive(struct sasl_exchange *x, struct arena *mem, bool sent, struct err *err,
	struct sasl_answer *out)
{
	struct msg_sasl_answer a;

	if (sent && ipc_receive(&x->ipc, mem, &ipc_sasl_answer, &a, err) == IPC_DONE)
		*out = (struct sasl_answer){.status = (enum sasl_status)a.status,
					    .text = a.text,
					    .user = a.user};
	else
		sasl_answer_trouble(out, STR("Connection lost to authentication server"));
	if (out->status == SASL_ANSWER_DONE && out->user.len == 0)
		sasl_answer_trouble(out, STR("Authentication server named no user"));
	if (out->status != SASL_ANSWER_MORE)
		stream_close(&x->stream);
}

static void
begin(struct sasl_exchange *x, struct arena *mem, const struct str *initial,
      struct sasl_answer *answer_out)
{
	const struct sasl_server_setup *setup = &x->server->setup;
	const struct sasl_peer *p = x->peer;
	const struct msg_sasl_start start = {
		.type = setup->type,
		.application = setup->path,
		.maps = setup->maps,
		.realm = setup->realm,
		.config_path = setup->config_path,
		.security = p->security,
		.mechanism = x->mechanism,
		.client_address = p->client_address,
		.client_port = p->client_port,
		.server_address = p->server_address,
		.server_port = p->server_port,
		.has_initial = initial != NULL,
		.initial = initial != NULL ? *initial : STR_EMPTY,
		.is_tls = p->is_tls,
	};
	struct err err;
	bool sent;

	sent = reach(x->server, &x->stream, &x->ipc, &err) &&
	       ipc_send(&x->ipc, &ipc_sasl_start, &start, &err);
	receive(x, mem, sent, &err, answer_out);
}

static void
next(struct sasl_exchange *x, struct arena *mem, struct str response,
     struct sasl_answer *answer_out)
{
	const struct msg_sasl_next message = {.response = response};
	struct err err;
	bool sent = ipc_send(&x->ipc, &ipc_sasl_next, &message, &err);

	receive(x, mem, sent, &err, answer_out);
}

static void
cancel(struct sasl_exchange *x)
{
	if (x->stream != NULL)
		stream_discard_output(x->stream);
	stream_close(&x->stream);
}

const struct sasl_server_ops service_ops = {
	.mechanisms = mechanisms, .begin = begin, .next = next, .cancel = cancel};
