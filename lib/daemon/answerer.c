/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/answerer.h"

#include "base/arena.h"
#include "base/log.h"

#include "daemon/daemon.h"
#include "fiber/fiber.h"
#include "fiber/stream.h"
#include "ipc/message.h"

/* A client's connection; lives on the stack of its fiber. */
struct session {
	struct list link;
	struct fiber *fiber;
	bool is_idle; /* no question is under way */
};

void
answerer_init(struct answerer *a)
{
	list_init(&a->sessions);
}

/* One question and its answer; false when there are no more. */
static bool
serve_one(struct answerer *a, struct session *s, struct ipc *ipc, struct arena *mem)
{
	const struct ipc_message *const accepted[] = {a->question, NULL};
	struct daemon *d = a->daemon;
	const struct ipc_message *which;
	enum ipc_result result;
	void *question;
	struct err err;

	stream_set_timeout_ms(ipc->stream, -1);
	s->is_idle = true;
	result = ipc_receive_any(ipc, mem, accepted, &which, &question, &err);
	s->is_idle = false;
	if (result == IPC_FAILED && !d->draining)
		log_warning(d->log, "bad question: %s", err.text);
	if (result != IPC_DONE)
		return false;
	stream_set_timeout_ms(ipc->stream, a->write_ms);
	/* A client that does not wait for its answer is its own affair. */
	return a->answer(d, mem, question, ipc, &err) && ipc_flush(ipc, &err);
}

void
answerer_session(struct answerer *a, struct stream *client)
{
	struct daemon *d = a->daemon;
	struct session s = {.fiber = fiber_current(d->loop)};
	struct arena *mem = arena_new();
	struct ipc ipc;

	list_init(&s.link);
	list_append(&a->sessions, &s.link);
	ipc_init(&ipc, client);
	while (!d->draining && serve_one(a, &s, &ipc, mem))
		arena_reset(mem);
	list_remove(&s.link);
	arena_free(&mem);
}

void
answerer_drain(struct answerer *a)
{
	list_foreach (at, &a->sessions) {
		const struct session *s = CONTAINER_OF(at, struct session, link);

		if (s->is_idle)
			fiber_cancel(s->fiber);
	}
}
