/* SPDX-License-Identifier: Apache-2.0 */
#include "sasl/server.h"

#include "base/buf.h"

#include "sasl/server_internal.h"

bool
sasl_server_open(struct arena *mem, const struct sasl_server_setup *setup,
		 struct sasl_server **out, struct err *err)
{
	struct sasl_server *s = ARENA_NEW(mem, struct sasl_server);

	s->mem = mem;
	s->setup = *setup;
	s->service_names[0] = s->service_names[1] = STR_EMPTY;
	if (str_eq(setup->type, STR("dovecot"))) {
		s->ops = &dovecot_ops;
		if (!dovecot_new(s, err))
			return false;
	} else if (str_eq(setup->type, STR("cyrus")) ||
		   str_eq(setup->type, STR("table"))) {
		s->ops = &service_ops;
	} else {
		return err_set(err, ERR_CONFIG,
			       "unsupported SASL server implementation: " PRI_STR,
			       STR_ARG(setup->type));
	}
	*out = s;
	return true;
}

bool
sasl_server_needs_tcp(const struct sasl_server *server)
{
	return server->needs_tcp;
}

bool
sasl_server_mechanisms(struct sasl_server *server, struct arena *mem,
		       const struct sasl_peer *peer, struct str *names_out,
		       struct err *err)
{
	return server->ops->mechanisms(server, mem, peer, names_out, err);
}

void
sasl_answer_trouble(struct sasl_answer *out, struct str text)
{
	*out = (struct sasl_answer){
		.status = SASL_ANSWER_LATER, .text = text, .user = STR_EMPTY};
}

/* Of the alphabet at least: who decodes it looks closer. */
static bool
looks_like_base64(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (!char_is_alnum(c) && c != '+' && c != '/' && c != '=')
			return false;
	}
	return true;
}

static bool
check_base64(struct str text, struct str why, struct sasl_answer *out)
{
	if (looks_like_base64(text))
		return true;
	*out = (struct sasl_answer){
		.status = SASL_ANSWER_FAIL, .text = why, .user = STR_EMPTY};
	return false;
}

static void
end_exchange(void *arg)
{
	sasl_exchange_cancel(arg);
}

void
sasl_exchange_begin(struct sasl_server *server, struct arena *mem,
		    const struct sasl_peer *peer, struct str mechanism,
		    const struct str *initial, struct sasl_exchange **out,
		    struct sasl_answer *answer_out)
{
	struct sasl_exchange *x = ARENA_NEW(mem, struct sasl_exchange);
	struct str empty = STR_EMPTY;

	x->server = server;
	x->peer = peer;
	x->mechanism = mechanism;
	*out = x;
	if (initial != NULL && str_eq(*initial, STR("=")))
		initial = &empty;
	if (initial != NULL &&
	    !check_base64(*initial, STR("Invalid base64 data in initial response"),
			  answer_out))
		return;
	x->is_open = true;
	arena_defer(mem, end_exchange, x);
	server->ops->begin(x, mem, initial, answer_out);
	if (answer_out->status != SASL_ANSWER_MORE)
		x->is_open = false;
}

void
sasl_exchange_next(struct sasl_exchange *x, struct arena *mem, struct str response,
		   struct sasl_answer *answer_out)
{
	if (!check_base64(response, STR("Invalid base64 data in continued response"),
			  answer_out)) {
		sasl_exchange_cancel(x);
		return;
	}
	x->server->ops->next(x, mem, response, answer_out);
	if (answer_out->status != SASL_ANSWER_MORE)
		x->is_open = false;
}

void
sasl_exchange_cancel(struct sasl_exchange *x)
{
	if (!x->is_open)
		return;
	x->is_open = false;
	x->server->ops->cancel(x);
}
