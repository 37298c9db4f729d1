/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/sys.h"

#include "fiber/fiber.h"

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 2000, ACCEPT_BATCH = 16 };

struct listener {
	struct loop *loop;
	struct watch watch;
	struct timer pause;
	struct list sessions;
	listener_fn *fn;
	void *arg;
	size_t max_sessions;
	size_t n_sessions;
	size_t accepted;
	int64_t pause_ms; /* the next one */
	int fd;
	int failed;
	bool stopped;
	bool freed; /* listener_free() was called; goes with the last session */
};

struct session {
	struct list link;
	struct listener *listener;
	struct fiber *fiber;
	struct listener_peer peer;
	int fd;
};

static void
resume(struct listener *l)
{
	if (!l->stopped && !timer_is_active(&l->pause) && l->n_sessions < l->max_sessions)
		watch_start(&l->watch);
}

static void
end_session(struct session *s)
{
	struct listener *l = s->listener;

	list_remove(&s->link);
	l->n_sessions--;
	mem_free(s);
	if (l->freed && l->n_sessions == 0) {
		mem_free(l);
		return;
	}
	/* A descriptor has become free: no need to wait any longer. */
	timer_stop(&l->pause);
	resume(l);
}

static void
run_session(void *arg)
{
	struct session *s = arg;
	struct listener *l = s->listener;

	l->fn(stream_from_fd(l->loop, s->fd), &s->peer, l->arg);
	end_session(s);
}

static void
pause_over(struct timer *t, void *arg)
{
	(void)t;
	resume(arg);
}

static void
pause_accepting(struct listener *l, int error)
{
	l->failed = error;
	watch_stop(&l->watch);
	timer_start_ms(&l->pause, l->pause_ms);
	l->pause_ms = MIN_OF(l->pause_ms * 2, (int64_t)PAUSE_MAX_MS);
}

static bool
out_of_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Accept one connection; false when there is none, or none can be taken now. */
static bool
accept_one(struct listener *l)
{
	struct session *s = mem_alloc(sizeof(*s));

	s->peer.address_len = sizeof(s->peer.address);
	s->fd = sys_accept4(l->fd, (struct sockaddr *)&s->peer.address,
			    &s->peer.address_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (s->fd < 0) {
		int error = errno;

		mem_free(s);
		if (out_of_resources(error))
			pause_accepting(l, error);
		return error == ECONNABORTED || error == EINTR;
	}
	s->listener = l;
	s->fiber = fiber_spawn(l->loop, "session", run_session, s);
	if (s->fiber == NULL) {
		sys_close(s->fd);
		mem_free(s);
		pause_accepting(l, ENOMEM);
		return false;
	}
	list_init(&s->link);
	list_append(&l->sessions, &s->link);
	l->n_sessions++;
	l->accepted++;
	l->pause_ms = PAUSE_FIRST_MS;
	return true;
}

static void
readable(struct watch *w, unsigned ready, void *arg)
{
	struct listener *l = arg;

	(void)ready;
	for (int i = 0; i < ACCEPT_BATCH && l->n_sessions < l->max_sessions; i++) {
		if (!accept_one(l))
			break;
	}
	if (l->n_sessions >= l->max_sessions)
		watch_stop(w);
}

struct listener *
listener_new(struct loop *loop, int fd, size_t max_sessions, listener_fn *fn, void *arg)
{
	struct listener *l = mem_alloc(sizeof(*l));
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		IGNORE(fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0);
	*l = (struct listener){.loop = loop,
			       .fn = fn,
			       .arg = arg,
			       .fd = fd,
			       .max_sessions = max_sessions,
			       .pause_ms = PAUSE_FIRST_MS};
	list_init(&l->sessions);
	timer_init(&l->pause, loop, pause_over, l);
	watch_init(&l->watch, loop, fd, WATCH_READ, readable, l);
	watch_start(&l->watch);
	return l;
}

size_t
listener_sessions(const struct listener *l)
{
	return l->n_sessions;
}

size_t
listener_accepted(const struct listener *l)
{
	return l->accepted;
}

int
listener_failed(struct listener *l)
{
	int error = l->failed;

	l->failed = 0;
	return error;
}

void
listener_stop(struct listener *l)
{
	if (l->stopped)
		return;
	l->stopped = true;
	watch_stop(&l->watch);
	timer_stop(&l->pause);
	sys_close(l->fd);
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
	*listener = NULL;
	listener_stop(l);
	l->freed = true;
	if (l->n_sessions == 0)
		mem_free(l);
}
