/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sys.h"
#include "fiber/loop.h"

#include "backoff.h"
#include "child.h"
#include "errors.h"
#include "sockets.h"

/* The three waves in which processes are stopped; each gets so long until SIGKILL. */
enum wave { WAVE_NONE, WAVE_QUEUE, WAVE_MOST, WAVE_LOG, WAVE_DONE };

enum { QUEUE_FINISH_MS = 1000, WAVE_MS = 2000 };

enum service_state { SERVICE_IDLE, SERVICE_UP, SERVICE_PAUSED, SERVICE_WAITING };

struct service {
	struct list link;
	struct supervisor *s;
	const struct plan_service *plan;
	int fds[ENDPOINTS_MAX];
	struct watch watches[ENDPOINTS_MAX];
	enum service_state state;
	size_t processes; /* of the present generation */
	size_t before;    /* processes of the generation that must be gone first */
	bool hurry;       /* start at once, not with the first client */
	struct backoff backoff;
	struct timer restart;
	struct timer wakeup;
};

struct process {
	struct list link;
	struct supervisor *s;
	struct service *service; /* NULL: finishing, of an earlier generation */
	struct service *heir;    /* waits for its end, or NULL */
	pid_t pid;
	char *program;
	enum wave wave;
	int control; /* -1 when it was told to finish */
	struct watch watch;
	int64_t started_ms;
	bool ready;
	bool wake_when_ready;
	struct process *predecessor; /* whom it replaces when it is ready, or NULL */
	bool has_successor;          /* one is being started */
};

struct supervisor {
	struct supervisor_options o;
	struct plan *plan;
	struct socket_set *sockets;
	struct list services;
	struct list processes;
	struct errors *errors;
	enum wave stopping;
	struct timer stop_timer;
	bool queue_signalled;
};

static void start_service(struct service *v);

/* -- processes --------------------------------------------------------------- */

static enum wave
wave_of(const struct plan_service *p)
{
	if (str_eq(p->command, STR("qmgr")))
		return WAVE_QUEUE;
	return str_eq(p->command, STR("postlogd")) ? WAVE_LOG : WAVE_MOST;
}

static void
hang_up(struct process *c)
{
	if (c->control < 0)
		return;
	watch_stop(&c->watch);
	sys_close(c->control);
	c->control = -1;
}

/* A full buffer is no matter: then it has enough to wake up for. */
static void
tell(struct process *c, char what)
{
	if (c->control >= 0)
		IGNORE(sys_send(c->control, &what, 1, MSG_NOSIGNAL) < 0);
}

static bool spawn(struct service *v, struct process *predecessor, struct err *err);

/* A process wants to be started anew, because files that only we may read have changed.
 * It goes on until the new one is ready. */
static void
start_successor(struct process *c)
{
	struct err err;

	if (c->service == NULL || c->has_successor || !c->ready ||
	    c->s->stopping != WAVE_NONE || (c->service->plan->flags & SERVICE_ALONE) != 0)
		return;
	c->has_successor = spawn(c->service, c, &err);
	if (!c->has_successor)
		log_warning(c->s->o.log, "%s", err.text);
}

/* It is ready: whom it replaces may finish. */
static void
replace_predecessor(struct process *c)
{
	struct process *old = c->predecessor;

	c->predecessor = NULL;
	if (old == NULL || old->service == NULL)
		return;
	old->service->processes--;
	old->service = NULL;
	hang_up(old);
}

static void
control_ready(struct watch *w UNUSED, unsigned ready UNUSED, void *arg)
{
	struct process *c = arg;
	char bytes[16];
	ssize_t n = sys_read(c->control, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* It is ending; what that means is decided when it is reaped. */
		hang_up(c);
		return;
	}
	if (memchr(bytes, 'R', (size_t)n) != NULL) {
		c->ready = true;
		if (c->wake_when_ready)
			tell(c, 'W');
		c->wake_when_ready = false;
		replace_predecessor(c);
		if (c->wave == WAVE_LOG)
			c->s->o.logger_settled(c->s->o.arg);
	}
	if (memchr(bytes, 'N', (size_t)n) != NULL)
		start_successor(c);
}

static void
process_add(struct service *v, struct process *predecessor, pid_t pid, int control)
{
	struct process *c = mem_alloc(sizeof(*c));

	c->s = v->s;
	c->service = v;
	c->pid = pid;
	c->program = mem_strdup(v->plan->program);
	c->wave = wave_of(v->plan);
	c->control = control;
	c->predecessor = predecessor;
	c->started_ms = loop_now_ms(v->s->o.loop);
	watch_init(&c->watch, v->s->o.loop, control, WATCH_READ, control_ready, c);
	watch_start(&c->watch);
	list_append(&v->s->processes, &c->link);
	v->processes++;
}

static void
process_free(struct process *c)
{
	hang_up(c);
	if (c->predecessor != NULL)
		c->predecessor->has_successor = false;
	list_foreach (at, &c->s->processes) {
		struct process *other = CONTAINER_OF(at, struct process, link);

		if (other->predecessor == c)
			other->predecessor = NULL;
	}
	list_remove(&c->link);
	mem_free(c->program);
	mem_free(c);
}

static struct process *
process_find(struct supervisor *s, pid_t pid)
{
	list_foreach (at, &s->processes) {
		struct process *c = CONTAINER_OF(at, struct process, link);

		if (c->pid == pid)
			return c;
	}
	return NULL;
}

/* predecessor: whom it replaces, or NULL. */
static bool
spawn(struct service *v, struct process *predecessor, struct err *err)
{
	struct supervisor *s = v->s;
	struct child_start start = {
		.service = v->plan,
		.environment = s->plan->environment,
		.sockets = v->fds,
		.is_successor = predecessor != NULL,
		.null_fd = s->o.null_fd,
		.output_fd = wave_of(v->plan) == WAVE_LOG ? s->o.output_fd : -1,
		.error_fd = errors_fd(s->errors),
	};
	pid_t pid;
	int control;

	if (!child_spawn(s->o.loop, &start, &pid, &control, err))
		return false;
	process_add(v, predecessor, pid, control);
	return true;
}

/* -- services ---------------------------------------------------------------- */

static void
watch_sockets(struct service *v, bool on)
{
	for (size_t i = 0; i < v->plan->socket_count; i++) {
		if (v->fds[i] < 0)
			continue;
		if (on)
			watch_start(&v->watches[i]);
		else
			watch_stop(&v->watches[i]);
	}
}

static void
client_came(struct watch *w UNUSED, unsigned ready UNUSED, void *arg)
{
	start_service(arg);
}

static void
pause_service(struct service *v, int64_t ms)
{
	watch_sockets(v, false);
	v->state = SERVICE_PAUSED;
	timer_start_ms(&v->restart, ms);
}

/* Start the processes that are missing. Nothing but the machine's lack of something makes
 * this fail; then we try again later. */
static void
start_service(struct service *v)
{
	struct err err;

	watch_sockets(v, false);
	timer_stop(&v->restart);
	v->state = SERVICE_UP;
	while (v->processes < v->plan->workers) {
		if (!spawn(v, NULL, &err)) {
			log_warning(v->s->o.log, "%s", err.text);
			pause_service(v, v->s->plan->master.service_throttle_time * 1000);
			return;
		}
	}
	if (v->plan->wakeup_s > 0 && !timer_is_active(&v->wakeup))
		timer_start_ms(&v->wakeup, v->plan->wakeup_s * 1000LL);
}

static void
restart_due(struct timer *t UNUSED, void *arg)
{
	start_service(arg);
}

static void
wake_up(struct service *v)
{
	list_foreach (at, &v->s->processes) {
		struct process *c = CONTAINER_OF(at, struct process, link);

		if (c->service != v)
			continue;
		if (c->ready)
			tell(c, 'W');
		else
			c->wake_when_ready = true;
	}
}

static void
wakeup_due(struct timer *t, void *arg)
{
	struct service *v = arg;

	timer_start_ms(t, v->plan->wakeup_s * 1000LL);
	if (v->state == SERVICE_IDLE)
		start_service(v);
	if (v->state == SERVICE_UP)
		wake_up(v);
}

/* Nobody of it runs: wait for clients, or start, or wait for those before. */
static void
rest_service(struct service *v)
{
	if (v->before > 0) {
		v->state = SERVICE_WAITING;
		return;
	}
	if (v->hurry || (v->plan->flags & SERVICE_AT_ONCE) != 0) {
		v->hurry = false;
		start_service(v);
		return;
	}
	v->state = SERVICE_IDLE;
	watch_sockets(v, true);
}

static struct service *
service_new(struct supervisor *s, const struct plan_service *plan)
{
	struct service *v = mem_alloc(sizeof(*v));

	v->s = s;
	v->plan = plan;
	v->state = SERVICE_WAITING;
	timer_init(&v->restart, s->o.loop, restart_due, v);
	timer_init(&v->wakeup, s->o.loop, wakeup_due, v);
	list_append(&s->services, &v->link);
	return v;
}

/* The first call for a service with a wake-up time is at once, unless it waits for its
 * first use. */
static void
open_service(struct service *v, const struct socket_set *sockets)
{
	for (size_t i = 0; i < v->plan->socket_count; i++) {
		v->fds[i] = sockets_find(sockets, v->plan->sockets[i].key);
		if (v->fds[i] >= 0)
			watch_init(&v->watches[i], v->s->o.loop, v->fds[i], WATCH_READ,
				   client_came, v);
	}
	if (v->plan->wakeup_s > 0 && !v->plan->wakeup_if_used)
		timer_start_ms(&v->wakeup, 0);
}

static void
close_service(struct service *v)
{
	watch_sockets(v, false);
	timer_stop(&v->restart);
	timer_stop(&v->wakeup);
}

static void
service_free(struct service *v)
{
	close_service(v);
	list_remove(&v->link);
	mem_free(v);
}

static struct service *
service_find_key(struct list *services, const char *key)
{
	list_foreach (at, services) {
		struct service *v = CONTAINER_OF(at, struct service, link);

		if (strcmp(v->plan->key, key) == 0)
			return v;
	}
	return NULL;
}

/* -- stopping ---------------------------------------------------------------- */

static size_t
signal_wave(struct supervisor *s, enum wave wave, int sig)
{
	size_t n = 0;

	list_foreach (at, &s->processes) {
		struct process *c = CONTAINER_OF(at, struct process, link);

		if (c->wave != wave)
			continue;
		n++;
		if (sig == 0)
			hang_up(c);
		else
			IGNORE(sys_kill(c->pid, sig) != 0);
	}
	return n;
}

static size_t
count_wave(struct supervisor *s, enum wave wave)
{
	size_t n = 0;

	list_foreach (at, &s->processes) {
		n += CONTAINER_OF(at, struct process, link)->wave == wave;
	}
	return n;
}

/* Go on to the next wave that has somebody in it. */
static void
next_wave(struct supervisor *s)
{
	while (s->stopping != WAVE_DONE && count_wave(s, s->stopping) == 0) {
		s->stopping++;
		if (s->stopping == WAVE_DONE)
			break;
		if (signal_wave(s, s->stopping, SIGTERM) > 0)
			timer_start_ms(&s->stop_timer, WAVE_MS);
	}
	if (s->stopping == WAVE_DONE) {
		timer_stop(&s->stop_timer);
		s->o.stopped(s->o.arg);
	}
}

static void
stop_timeout(struct timer *t, void *arg)
{
	struct supervisor *s = arg;

	if (s->stopping == WAVE_QUEUE && !s->queue_signalled) {
		s->queue_signalled = true;
		signal_wave(s, WAVE_QUEUE, SIGTERM);
	} else {
		signal_wave(s, s->stopping, SIGKILL);
	}
	timer_start_ms(t, WAVE_MS);
}

void
supervisor_stop(struct supervisor *s)
{
	if (s->stopping != WAVE_NONE)
		return;
	s->stopping = WAVE_QUEUE;
	list_foreach (at, &s->services) {
		close_service(CONTAINER_OF(at, struct service, link));
	}
	if (signal_wave(s, WAVE_QUEUE, 0) > 0)
		timer_start_ms(&s->stop_timer, QUEUE_FINISH_MS);
	next_wave(s);
}

/* -- ends of processes ------------------------------------------------------- */

static bool
log_end(struct supervisor *s, const struct process *c, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFSIGNALED(status) && s->stopping != WAVE_NONE)
		return true;
	if (WIFSIGNALED(status))
		log_warning(s->o.log, "process %s pid %d killed by signal %d", c->program,
			    (int)c->pid, WTERMSIG(status));
	else
		log_warning(s->o.log, "process %s pid %d exit status %d", c->program,
			    (int)c->pid, WEXITSTATUS(status));
	return true;
}

/* A process that cannot start will not be able to in a moment either. One that somebody
 * killed meanwhile (an operator, the kernel short of memory) may well be. */
static void
process_failed(struct service *v, const struct process *c, int status)
{
	bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	int64_t now = loop_now_ms(v->s->o.loop);
	int64_t limit = v->s->plan->master.service_throttle_time * 1000;

	if (timer_is_active(&v->restart))
		return;
	if (!c->ready && !was_killed) {
		log_warning(v->s->o.log, "%s: bad command startup -- throttling",
			    c->program);
		pause_service(v, limit);
		return;
	}
	pause_service(v, backoff_next(&v->backoff, now - c->started_ms, limit));
}

static void
process_ended(struct supervisor *s, struct process *c, int status)
{
	struct service *v = c->service;
	struct service *heir = c->heir;
	bool failed = log_end(s, c, status) || !c->ready;

	if (c->wave == WAVE_LOG && !c->ready)
		s->o.logger_settled(s->o.arg);
	if (v != NULL && s->stopping == WAVE_NONE) {
		v->processes--;
		if (failed && c->predecessor != NULL)
			/* Whom it should have replaced runs on. */
			log_warning(s->o.log, "%s pid %d stays in place", c->program,
				    (int)c->predecessor->pid);
		else if (failed)
			process_failed(v, c, status);
		else if (v->processes == 0 && v->state == SERVICE_UP)
			rest_service(v);
	}
	process_free(c);
	if (heir != NULL && --heir->before == 0 && s->stopping == WAVE_NONE)
		rest_service(heir);
	if (s->stopping != WAVE_NONE)
		next_wave(s);
}

void
supervisor_reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = sys_waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *c = process_find(s, pid);

		if (c != NULL)
			process_ended(s, c, status);
	}
}

/* -- start and reload -------------------------------------------------------- */

/* The order of start: who writes the log first. */
static void
start_all(struct supervisor *s)
{
	for (int log_first = 1; log_first >= 0; log_first--) {
		list_foreach (at, &s->services) {
			struct service *v = CONTAINER_OF(at, struct service, link);

			if ((wave_of(v->plan) == WAVE_LOG) == (log_first == 1) &&
			    v->state == SERVICE_WAITING && v->processes == 0)
				rest_service(v);
		}
	}
}

static void
log_warnings(struct supervisor *s)
{
	for (size_t i = 0; i < s->plan->warning_count; i++)
		log_warning(s->o.log, PRI_STR, STR_ARG(s->plan->warnings[i]));
}

static void
make_services(struct supervisor *s, struct list *old)
{
	for (size_t i = 0; i < s->plan->service_count; i++) {
		const struct plan_service *p = &s->plan->services[i];
		struct service *was = old == NULL ? NULL : service_find_key(old, p->key);
		struct service *v = service_new(s, p);

		v->hurry = was != NULL && was->state != SERVICE_IDLE;
		open_service(v, s->sockets);
	}
}

struct supervisor *
supervisor_start(const struct supervisor_options *options, struct plan *plan,
		 struct err *err)
{
	struct supervisor *s = mem_alloc(sizeof(*s));

	s->o = *options;
	s->plan = plan;
	list_init(&s->services);
	list_init(&s->processes);
	timer_init(&s->stop_timer, s->o.loop, stop_timeout, s);
	if (!sockets_open(plan, NULL, s->o.owner, s->o.log, &s->sockets, err) ||
	    !errors_open(s->o.loop, s->o.log, &s->errors, err)) {
		mem_free(s);
		return NULL;
	}
	make_services(s, NULL);
	start_all(s);
	log_warnings(s);
	return s;
}

/* A process of the old generation: stays where it may, else finishes. */
static void
pass_on(struct process *c, struct service *fresh)
{
	bool stays = fresh != NULL && c->service != NULL && c->ready &&
		     (fresh->plan->flags & SERVICE_IN_PLACE) != 0 &&
		     strcmp(fresh->plan->identity, c->service->plan->identity) == 0;

	if (stays) {
		c->service = fresh;
		fresh->processes++;
		fresh->state = SERVICE_UP;
		tell(c, 'H');
		return;
	}
	hang_up(c);
	c->service = NULL;
	c->heir = NULL;
	if (fresh != NULL && (fresh->plan->flags & SERVICE_ALONE) != 0) {
		c->heir = fresh;
		fresh->before++;
	}
}

static void
pass_on_all(struct supervisor *s)
{
	list_foreach (at, &s->processes) {
		struct process *c = CONTAINER_OF(at, struct process, link);
		struct service *was = c->service != NULL ? c->service : c->heir;

		pass_on(c, was == NULL ? NULL
				       : service_find_key(&s->services, was->plan->key));
	}
}

bool
supervisor_reload(struct supervisor *s, struct plan *plan, struct err *err)
{
	struct socket_set *sockets;
	struct socket_set *old_sockets = s->sockets;
	struct plan *old_plan = s->plan;
	struct list old;

	if (s->stopping != WAVE_NONE)
		return err_set(err, ERR_TEMP, "the mail system is stopping");
	if (strcmp(plan->queue_directory, s->plan->queue_directory) != 0)
		return err_set(
			err, ERR_CONFIG,
			"queue_directory has changed from %s to %s: stop and start "
			"for that",
			s->plan->queue_directory, plan->queue_directory);
	if (!sockets_open(plan, s->sockets, s->o.owner, s->o.log, &sockets, err))
		return false;
	list_init(&old);
	while (!list_is_empty(&s->services)) {
		struct list *first = list_first(&s->services);

		close_service(CONTAINER_OF(first, struct service, link));
		list_remove(first);
		list_append(&old, first);
	}
	s->plan = plan;
	s->sockets = sockets;
	make_services(s, &old);
	pass_on_all(s);
	while (!list_is_empty(&old))
		service_free(CONTAINER_OF(list_first(&old), struct service, link));
	sockets_replace(&old_sockets, s->sockets);
	plan_free(&old_plan);
	start_all(s);
	log_warnings(s);
	return true;
}

bool
supervisor_awaits_logger(const struct supervisor *s)
{
	list_foreach (at, &s->processes) {
		const struct process *c = CONTAINER_OF(at, struct process, link);

		if (c->wave == WAVE_LOG && !c->ready)
			return true;
	}
	return false;
}

const struct plan *
supervisor_plan(const struct supervisor *s)
{
	return s->plan;
}

void
supervisor_free(struct supervisor **sp)
{
	struct supervisor *s = *sp;
	struct socket_set none = {NULL, 0};

	*sp = NULL;
	ensure(list_is_empty(&s->processes));
	while (!list_is_empty(&s->services))
		service_free(
			CONTAINER_OF(list_first(&s->services), struct service, link));
	sockets_replace(&s->sockets, &none);
	errors_close(&s->errors);
	plan_free(&s->plan);
	mem_free(s);
}
