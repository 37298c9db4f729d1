/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/config.h"
#include "daemon/daemon.h"
#include "fiber/offload.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "mail/base64.h"
#include "rewrite/rules.h"
#include "table/places.h"

#include "cyrus.h"
#include "saslauth.h"
#include "table.h"

enum { IDLE_MS = 3600000, STEPS_MAX = 100 };

static bool
is_cyrus(struct str type)
{
	return str_eq(type, STR("cyrus"));
}

/* ---- mechanisms ---- */

static bool
answer_list(struct saslauth *s, struct arena *mem, struct ipc *ipc,
	    const struct msg_sasl_list *request, struct err *err)
{
	struct msg_sasl_names reply = {.names = STR_EMPTY, .trouble = STR_EMPTY};
	bool ok;

	ok = is_cyrus(request->type)
		     ? cyrus_mechanisms(s, mem, request, &reply.names, &reply.trouble)
		     : tables_mechanisms(s, mem, request->maps, &reply.names,
					 &reply.trouble);
	if (ok)
		reply.trouble = STR_EMPTY;
	else
		reply.names = STR_EMPTY;
	return ipc_send(ipc, &ipc_sasl_names, &reply, err) && ipc_flush(ipc, err);
}

/* ---- a log-in ---- */

/* One step; text in base64 both ways. */
static void
take_step(struct login *l, const struct str *response, bool is_first,
	  struct sasl_answer *out)
{
	struct str raw;

	if (response != NULL && !base64_decode(l->mem, *response, &raw)) {
		*out = (struct sasl_answer){
			.status = SASL_ANSWER_FAIL,
			.text = is_first ? STR("Invalid base64 data in initial response")
					 : STR("Invalid base64 data in continued "
					       "response"),
			.user = STR_EMPTY};
		return;
	}
	l->step(l, response != NULL ? &raw : NULL, out);
	if (out->status == SASL_ANSWER_MORE)
		out->text = base64_encode(l->mem, out->text);
}

static bool
send_answer(struct ipc *ipc, const struct sasl_answer *answer, struct err *err)
{
	const struct msg_sasl_answer reply = {
		.status = answer->status, .text = answer->text, .user = answer->user};

	return ipc_send(ipc, &ipc_sasl_answer, &reply, err) && ipc_flush(ipc, err);
}

static bool
log_in(struct saslauth *s, struct arena *mem, struct ipc *ipc,
       const struct msg_sasl_start *start, struct err *err)
{
	struct login login = {.saslauth = s, .mem = mem, .start = start};
	struct sasl_answer answer;

	if (is_cyrus(start->type))
		cyrus_login(&login);
	else
		tables_login(&login);
	take_step(&login, start->has_initial ? &start->initial : NULL, true, &answer);
	for (int i = 0; i < STEPS_MAX; i++) {
		struct msg_sasl_next next;

		if (!send_answer(ipc, &answer, err))
			return false;
		if (answer.status != SASL_ANSWER_MORE)
			return true;
		switch (ipc_receive(ipc, mem, &ipc_sasl_next, &next, err)) {
		case IPC_DONE:
			break;
		case IPC_CLOSED: /* the client has given up */
			return true;
		case IPC_FAILED:
			return false;
		}
		take_step(&login, &next.response, false, &answer);
	}
	return err_set(err, ERR_PERM, "endless log-in");
}

static void
session(struct daemon *d, struct stream *client)
{
	static const struct ipc_message *const accepted[] = {&ipc_sasl_list,
							     &ipc_sasl_start, NULL};
	struct arena *mem = arena_new();
	const struct ipc_message *which;
	struct ipc ipc;
	struct err err;
	void *message;
	bool ok;

	stream_set_timeout_ms(client, IDLE_MS);
	ipc_init(&ipc, client);
	switch (ipc_receive_any(&ipc, mem, accepted, &which, &message, &err)) {
	case IPC_DONE:
		ok = which == &ipc_sasl_list
			     ? answer_list(d->state, mem, &ipc, message, &err)
			     : log_in(d->state, mem, &ipc, message, &err);
		break;
	case IPC_CLOSED:
		ok = true;
		break;
	case IPC_FAILED:
	default:
		ok = false;
		break;
	}
	if (!ok)
		log_warning(d->log, "%s", err.text);
	arena_free(&mem);
}

/* ---- the process ---- */

static bool
init(struct daemon *d, struct err *err)
{
	struct saslauth *s = ARENA_NEW(d->mem, struct saslauth);
	struct rewrite_rules rewrite;

	s->daemon = d;
	if (!common_config_load(d->mem, d->config, &s->common, err) ||
	    !sasl_config_load(d->mem, d->config, &s->config, err) ||
	    !rewrite_rules_load(d->mem, d->config, NULL, 0, &rewrite, err) ||
	    !tables_new(s, err))
		return false;
	/* Not having it is told when it is asked for. */
	if (is_cyrus(s->config.smtpd_sasl_type))
		IGNORE(cyrus_new(s, &s->cyrus_err));
	d->tables = rewrite_rules_places(d->mem, &rewrite,
					 &s->config.smtpd_sasl_password_maps, 1);
	d->state = s;
	return true;
}

static void
start(struct daemon *d)
{
	struct saslauth *s = d->state;

	s->offload = offload_new(d->loop, SASLAUTH_THREADS);
}

static void
release(struct daemon *d)
{
	struct saslauth *s = d->state;

	offload_free(&s->offload);
	tables_release(s);
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "saslauth",
		.profile = SANDBOX_saslauth,
		.init = init,
		.start = start,
		.session = session,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
