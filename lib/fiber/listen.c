/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/listen.h"

#include <errno.h>
#include <fcntl.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/sys.h"
#include "fiber/fiber.h"

enum {
	ACCEPT_BATCH = 16, /* connections per turn, so that sessions get theirs */
	PAUSE_MIN_MS = 100,
	PAUSE_MAX_MS = 2000
};

struct listener {
	struct loop *loop;
	int fd; /* -1 when stopped */
	size_t max_sessions;
	listener_fn *fn;
	void *arg;
	struct watch watch;
	struct timer pause;
	int64_t pause_ms;
	struct list sessions;
	size_t count;
	size_t accepted;
	int failed;
	bool freed;
};

/* On the heap until its fiber has started, and while it runs. */
struct session {
	struct list link;
	struct listener *listener;
	struct fiber *fiber;
	int fd;
	struct listener_peer peer;
};

static void
resume_accepting(struct listener *l)
{
	if (l->fd < 0 || l->count >= l->max_sessions)
		return;
	timer_stop(&l->pause);
	watch_start(&l->watch);
}

static void
on_pause_over(struct timer *t, void *arg)
{
	(void)t;
	resume_accepting(arg);
}

static void
session_main(void *arg)
{
	struct session *session = arg;
	struct listener *l = session->listener;

	l->fn(stream_from_socket(l->loop, session->fd), &session->peer, l->arg);
	list_remove(&session->link);
	mem_free(session);
	l->count--;
	if (l->freed && l->count == 0) {
		mem_free(l);
		return;
	}
	l->pause_ms = PAUSE_MIN_MS;
	resume_accepting(l);
}

static void
pause_accepting(struct listener *l, int error)
{
	l->failed = error;
	watch_stop(&l->watch);
	timer_start_ms(&l->pause, l->pause_ms);
	l->pause_ms = MIN_OF(l->pause_ms * 2, (int64_t)PAUSE_MAX_MS);
}

/* False if there is nothing (more) to accept now. */
static bool
accept_one(struct listener *l)
{
	struct session *session = mem_alloc(sizeof(*session));
	struct listener_peer *peer = &session->peer;

	peer->address_len = sizeof(peer->address);
	session->listener = l;
	session->fd = sys_accept4(l->fd, (struct sockaddr *)&peer->address,
				  &peer->address_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (session->fd < 0) {
		int error = errno;

		mem_free(session);
		if (error == EMFILE || error == ENFILE || error == ENOBUFS ||
		    error == ENOMEM) {
			pause_accepting(l, error);
			return false;
		}
		/* Connections that died in the backlog are not our failure. */
		return error != EAGAIN && error != EWOULDBLOCK;
	}
	session->fiber = fiber_spawn(l->loop, "session", session_main, session);
	if (session->fiber == NULL) {
		sys_close(session->fd);
		mem_free(session);
		pause_accepting(l, ENOMEM);
		return false;
	}
	list_append(&l->sessions, &session->link);
	l->count++;
	l->accepted++;
	l->pause_ms = PAUSE_MIN_MS;
	return true;
}

static void
on_connection(struct watch *w, unsigned ready, void *arg)
{
	struct listener *l = arg;

	(void)ready;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if (l->count >= l->max_sessions) {
			watch_stop(w);
			return;
		}
		if (!accept_one(l))
			return;
	}
}

struct listener *
listener_new(struct loop *loop, int fd, size_t max_sessions, listener_fn *fn, void *arg)
{
	struct listener *l = mem_alloc(sizeof(*l));
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		IGNORE(fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0);
	l->loop = loop;
	l->fd = fd;
	l->max_sessions = max_sessions;
	l->fn = fn;
	l->arg = arg;
	l->pause_ms = PAUSE_MIN_MS;
	list_init(&l->sessions);
	watch_init(&l->watch, loop, fd, WATCH_READ, on_connection, l);
	timer_init(&l->pause, loop, on_pause_over, l);
	resume_accepting(l);
	return l;
}

size_t
listener_sessions(const struct listener *l)
{
	return l->count;
}

size_t
listener_accepted(const struct listener *l)
{
	return l->accepted;
}

int
listener_failed(struct listener *l)
{
	int failed = l->failed;

	l->failed = 0;
	return failed;
}

void
listener_stop(struct listener *l)
{
	if (l->fd < 0)
		return;
	watch_stop(&l->watch);
	timer_stop(&l->pause);
	sys_close(l->fd);
	l->fd = -1;
}

void
listener_cancel_sessions(struct listener *l)
{
	list_foreach (at, &l->sessions)
		fiber_cancel(CONTAINER_OF(at, struct session, link)->fiber);
}

void
listener_free(struct listener **listener)
{
	struct listener *l = *listener;

	if (l == NULL)
		return;
	listener_stop(l);
	*listener = NULL;
	if (l->count == 0)
		mem_free(l);
	else
		l->freed = true;
}
