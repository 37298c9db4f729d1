/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals and children of a loop (declared in loop.h). A child is watched through a
 * pidfd, so SIGCHLD stays free and loops do not take each other's children. Where
 * pidfd_open(2) is refused (old kernel, strict container) the child is asked after every
 * CHILD_POLL_MS.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/loop_internal.h"

enum { CHILD_POLL_MS = 20 };

struct loop_signal {
	struct ev_signal ev;
	void (*fn)(int sig, void *arg);
	void *arg;
};

struct child {
	struct list link;
	struct loop *loop;
	pid_t pid;
	int pidfd; /* -1: polled */
	struct watch watch;
	struct timer poll;
	void (*fn)(pid_t pid, int status, void *arg);
	void *arg;
};

void
loop_process_init(struct loop *loop)
{
	list_init(&loop->children);
}

static void
child_free(struct child *c)
{
	watch_stop(&c->watch);
	timer_stop(&c->poll);
	list_remove(&c->link);
	if (c->pidfd >= 0)
		sys_close(c->pidfd);
	mem_free(c);
}

static void
signal_remove(struct loop *loop, int sig)
{
	struct loop_signal *s = loop->signals[sig];

	if (s == NULL)
		return;
	ev_signal_stop(loop->ev, &s->ev);
	loop->signals[sig] = NULL;
	mem_free(s);
}

void
loop_process_release(struct loop *loop)
{
	list_foreach_safe(at, next, &loop->children)
		child_free(CONTAINER_OF(at, struct child, link));
	for (int sig = 1; sig < NSIG; sig++)
		signal_remove(loop, sig);
}

static void
on_signal(EV_P_ ev_signal *ev, int events)
{
	struct loop_signal *s = ev->data;

	(void)loop;
	(void)events;
	s->fn(ev->signum, s->arg);
}

void
loop_on_signal(struct loop *loop, int sig, void (*fn)(int sig, void *arg), void *arg)
{
	struct loop_signal *s;

	if (sig <= 0 || sig >= NSIG)
		panic("no such signal: %d", sig);
	signal_remove(loop, sig);
	if (fn == NULL)
		return;
	s = mem_alloc(sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	ev_signal_init(&s->ev, on_signal, sig);
	s->ev.data = s;
	ev_signal_start(loop->ev, &s->ev);
	loop->signals[sig] = s;
}

/* False while the child is still running. */
static bool
child_look(struct child *c)
{
	int status = 0;
	pid_t pid;
	struct child done;

	do
		pid = sys_waitpid(c->pid, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	/* ECHILD: somebody else reaped it. Say "ended badly" rather than wait for ever.
	 */
	if (pid < 0)
		status = 255 << 8;
	done = *c;
	child_free(c);
	done.fn(done.pid, status, done.arg);
	return true;
}

static void
on_pidfd(struct watch *w, unsigned ready, void *arg)
{
	(void)w;
	(void)ready;
	child_look(arg);
}

static void
on_child_poll(struct timer *t, void *arg)
{
	if (!child_look(arg))
		timer_start_ms(t, CHILD_POLL_MS);
}

void
loop_on_child(struct loop *loop, pid_t pid, void (*fn)(pid_t pid, int status, void *arg),
	      void *arg)
{
	struct child *c = mem_alloc(sizeof(*c));

	*c = (struct child){.loop = loop, .pid = pid, .pidfd = -1, .fn = fn, .arg = arg};
	list_append(&loop->children, &c->link);
	timer_init(&c->poll, loop, on_child_poll, c);
#if defined(SYS_pidfd_open)
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
	watch_init(&c->watch, loop, c->pidfd, WATCH_READ, on_pidfd, c);
	if (c->pidfd >= 0)
		watch_start(&c->watch);
	else
		timer_start_ms(&c->poll, 0);
}

void
loop_forget_in_child(struct loop *loop)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < NSIG; sig++) {
		if (loop->signals[sig] != NULL)
			IGNORE(sigaction(sig, &normal, NULL) < 0);
	}
	IGNORE(sigaction(SIGPIPE, &normal, NULL) < 0);
	list_foreach (at, &loop->children) {
		struct child *c = CONTAINER_OF(at, struct child, link);

		if (c->pidfd >= 0)
			sys_close(c->pidfd);
	}
	/* ev's own descriptors are close-on-exec and hold nothing that others wait for.
	 */
}
