/* SPDX-License-Identifier: Apache-2.0 */
#include "tlsmgr.h"

#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/macros.h"

#include "daemon/daemon.h"
#include "fiber/loop.h"
#include "fiber/stream.h"
#include "ipc/message.h"
#include "ipc/messages.h"
#include "mail/base64.h"

#include "session.h"
#include "tls.h"

enum { ASK_MS = 10000, ASK_AGAIN_MS = 60000 };

/* One question, one answer. */
static bool
ask(struct smtpd *d, struct arena *mem, const struct ipc_message *question,
    const void *value, const struct ipc_message *answer, void *out, struct err *err)
{
	struct str service = str_printf(mem, "private/" PRI_STR,
					STR_ARG(d->tls->config.tlsmgr_service_name));
	struct stream *stream = NULL;
	struct ipc ipc;
	bool ok;

	if (!daemon_connect(d->daemon, service.p, ASK_MS, &stream, err))
		return false;
	stream_set_timeout_ms(stream, ASK_MS);
	ipc_init(&ipc, stream);
	ok = ipc_send(&ipc, question, value, err) &&
	     ipc_receive(&ipc, mem, answer, out, err) == IPC_DONE;
	stream_close(&stream);
	return ok;
}

/* ---- ticket keys ---- */

static bool
read_key(struct arena *mem, struct str text, int64_t encrypts, int64_t decrypts,
	 struct tls_ticket_key *out)
{
	struct str raw;

	if (!base64_decode(mem, text, &raw) ||
	    raw.len != TLS_TICKET_NAME + 2 * TLS_TICKET_SECRET)
		return false;
	memcpy(out->name, raw.p, TLS_TICKET_NAME);
	memcpy(out->cipher, raw.p + TLS_TICKET_NAME, TLS_TICKET_SECRET);
	memcpy(out->mac, raw.p + TLS_TICKET_NAME + TLS_TICKET_SECRET, TLS_TICKET_SECRET);
	out->encrypts_until = encrypts;
	out->decrypts_until = decrypts;
	return true;
}

static void
use_keys(struct smtpd *d, struct arena *mem, const struct msg_tlsmgr_key_set *set)
{
	struct tls_ticket_key keys[TLS_TICKET_KEYS];
	size_t n = 0;

	if (read_key(mem, set->key, set->encrypts_until, set->decrypts_until, &keys[n]))
		n++;
	if (set->old_key.len > 0 &&
	    read_key(mem, set->old_key, 0, set->old_decrypts_until, &keys[n]))
		n++;
	/* The context may have been replaced while we waited. */
	if (d->tls->context != NULL)
		tls_context_set_ticket_keys(d->tls->context, keys, n);
	explicit_bzero(keys, sizeof(keys));
}

void
tlsmgr_refresh_keys(struct smtpd *d)
{
	struct tls_service *t = d->tls;
	const struct msg_tlsmgr_keys question = {
		.seconds = t->config.smtpd_tls_session_cache_timeout};
	struct msg_tlsmgr_key_set set;
	int64_t now = loop_now_ms(d->daemon->loop);
	struct arena *mem;
	struct err err;

	if (!tls_context_wants_ticket_keys(t->context, time(NULL)) ||
	    (t->asked_ms != 0 && now - t->asked_ms < ASK_AGAIN_MS))
		return;
	t->asked_ms = now;
	mem = arena_new();
	if (ask(d, mem, &ipc_tlsmgr_keys, &question, &ipc_tlsmgr_key_set, &set, &err)) {
		use_keys(d, mem, &set);
		t->asked_ms = 0;
	} else {
		log_warning(d->daemon->log, "no TLS session tickets: %s", err.text);
	}
	arena_free(&mem);
}

/* ---- sessions ---- */

static struct str
session_key(const struct session *s, struct arena *mem, struct str id)
{
	return str_printf(mem, "%s." PRI_STR, s->smtpd->daemon->service, STR_ARG(id));
}

static bool
load_session(void *arg, struct arena *mem, struct str id, struct str *session_out)
{
	struct session *s = arg;
	const struct msg_tlsmgr_get question = {.id = session_key(s, mem, id)};
	struct msg_tlsmgr_session answer;
	struct err err;

	if (!ask(s->smtpd, mem, &ipc_tlsmgr_get, &question, &ipc_tlsmgr_session, &answer,
		 &err)) {
		log_warning(s->smtpd->daemon->log, "no TLS sessions: %s", err.text);
		return false;
	}
	return answer.session.len > 0 && base64_decode(mem, answer.session, session_out);
}

static void
save_session(void *arg, struct str id, struct str session)
{
	struct session *s = arg;
	struct arena *mem = arena_new();
	const struct msg_tlsmgr_put question = {
		.id = session_key(s, mem, id),
		.session = base64_encode(mem, session),
		.seconds = s->smtpd->tls->config.smtpd_tls_session_cache_timeout,
	};
	struct msg_tlsmgr_session answer;
	struct err err;

	if (!ask(s->smtpd, mem, &ipc_tlsmgr_put, &question, &ipc_tlsmgr_session, &answer,
		 &err))
		log_warning(s->smtpd->daemon->log, "no TLS sessions: %s", err.text);
	arena_free(&mem);
}

struct tls_store
tlsmgr_store(struct session *s)
{
	if (!s->smtpd->tls->server.keeps_sessions)
		return (struct tls_store){.load = NULL};
	return (struct tls_store){.load = load_session, .save = save_session, .arg = s};
}
