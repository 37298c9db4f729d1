/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsmgr: what the processes of SMTP servers must have in common for TLS: the keys of
 * session tickets, and the sessions of clients that do without tickets. All in memory.
 */
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "config/common_config.h"
#include "daemon/daemon.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/base64.h"

#include "keys.h"
#include "sessions.h"

struct tlsmgr {
	struct common_config common;
	struct keys keys;
	struct sessions *sessions;
};

static bool
answer_keys(struct tlsmgr *t, struct arena *mem, const struct msg_tlsmgr_keys *m,
	    struct ipc *ipc, struct err *err)
{
	struct msg_tlsmgr_key_set set = {.old_key = STR_EMPTY};
	const struct key *old = &t->keys.before;

	if (!keys_refresh(&t->keys, time(NULL), m->seconds, err))
		return false;
	set.key = base64_encode(mem, str_from_mem(t->keys.now.secret, KEY_BYTES));
	set.encrypts_until = t->keys.now.encrypts_until;
	set.decrypts_until = t->keys.now.decrypts_until;
	if (old->encrypts_until > 0) {
		set.old_key = base64_encode(mem, str_from_mem(old->secret, KEY_BYTES));
		set.old_decrypts_until = old->decrypts_until;
	}
	return ipc_send(ipc, &ipc_tlsmgr_key_set, &set, err);
}

static bool
answer(struct tlsmgr *t, struct arena *mem, const struct ipc_message *which, void *value,
       struct ipc *ipc, struct err *err)
{
	struct msg_tlsmgr_session out = {.session = STR_EMPTY};

	if (which == &ipc_tlsmgr_keys)
		return answer_keys(t, mem, value, ipc, err);
	if (which == &ipc_tlsmgr_put) {
		const struct msg_tlsmgr_put *m = value;

		sessions_put(t->sessions, m->id, m->session, time(NULL), m->seconds);
	} else {
		const struct msg_tlsmgr_get *m = value;

		out.session = sessions_get(t->sessions, m->id, time(NULL));
	}
	return ipc_send(ipc, &ipc_tlsmgr_session, &out, err);
}

static void
session(struct daemon *d, struct stream *client)
{
	static const struct ipc_message *const accepted[] = {
		&ipc_tlsmgr_keys, &ipc_tlsmgr_get, &ipc_tlsmgr_put, NULL};
	struct tlsmgr *t = d->state;
	struct arena *mem = arena_new();
	const struct ipc_message *which;
	enum ipc_result result;
	struct ipc ipc;
	struct err err;
	void *value;

	stream_set_timeout_ms(client, t->common.ipc_timeout * 1000);
	ipc_init(&ipc, client);
	while ((result = ipc_receive_any(&ipc, mem, accepted, &which, &value, &err)) ==
	       IPC_DONE) {
		if (!answer(t, mem, which, value, &ipc, &err) || !ipc_flush(&ipc, &err)) {
			log_warning(d->log, "%s", err.text);
			break;
		}
		arena_reset(mem);
	}
	if (result == IPC_FAILED && !d->draining)
		log_warning(d->log, "bad request: %s", err.text);
	arena_free(&mem);
}

static void
wakeup(struct daemon *d)
{
	struct tlsmgr *t = d->state;

	sessions_expire(t->sessions, time(NULL));
}

static bool
init(struct daemon *d, struct err *err)
{
	struct tlsmgr *t = ARENA_NEW(d->mem, struct tlsmgr);

	if (!common_config_load(d->mem, d->config, &t->common, err))
		return false;
	t->sessions = sessions_new();
	d->state = t;
	return true;
}

static void
release(struct daemon *d)
{
	struct tlsmgr *t = d->state;

	sessions_free(&t->sessions);
	explicit_bzero(&t->keys, sizeof(t->keys));
}

int
main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "tlsmgr",
		.profile = SANDBOX_tlsmgr,
		.init = init,
		.session = session,
		.wakeup = wakeup,
		.release = release,
	};

	return daemon_main(argc, argv, &program);
}
