/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/offload.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"

#include "fiber/fiber_internal.h"

/* On the stack of the fiber that waits. */
struct job {
	struct list link;
	struct fiber *fiber;
	void (*fn)(void *arg);
	void *arg;
};

struct offload {
	struct loop *loop;
	struct watch watch;
	int fd; /* eventfd: something is done */
	unsigned max_threads;
	unsigned n_threads;
	unsigned n_running; /* jobs that are queued or run; the loop's count */
	pthread_t threads[64];
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t work;
	struct list queued;
	struct list done;
	bool ending;
};

static void *
helper(void *arg)
{
	struct offload *o = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		struct list *first;
		struct job *job;

		while (list_is_empty(&o->queued) && !o->ending)
			pthread_cond_wait(&o->work, &o->lock);
		first = list_first(&o->queued);
		if (first == NULL)
			break;
		list_remove(first);
		job = CONTAINER_OF(first, struct job, link);
		pthread_mutex_unlock(&o->lock);
		job->fn(job->arg);
		pthread_mutex_lock(&o->lock);
		list_append(&o->done, &job->link);
		IGNORE(write(o->fd, &one, sizeof(one)) < 0);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void
something_done(struct watch *w, unsigned ready, void *arg)
{
	struct offload *o = arg;
	uint64_t count;

	(void)w;
	(void)ready;
	IGNORE(read(o->fd, &count, sizeof(count)) < 0);
	pthread_mutex_lock(&o->lock);
	while (!list_is_empty(&o->done)) {
		struct job *job = CONTAINER_OF(list_first(&o->done), struct job, link);

		list_remove(&job->link);
		if (--o->n_running == 0)
			watch_stop(&o->watch);
		fiber_unpark(job->fiber);
	}
	pthread_mutex_unlock(&o->lock);
}

struct offload *
offload_new(struct loop *loop, unsigned threads)
{
	struct offload *o = mem_alloc(sizeof(*o));

	o->loop = loop;
	o->max_threads = MIN_OF(threads, (unsigned)ARRAY_LEN(o->threads));
	o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ensure(o->fd >= 0);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->work, NULL);
	list_init(&o->queued);
	list_init(&o->done);
	watch_init(&o->watch, loop, o->fd, WATCH_READ, something_done, o);
	return o;
}

static bool
start_thread(struct offload *o)
{
	sigset_t all;
	sigset_t old;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = pthread_create(&o->threads[o->n_threads], NULL, helper, o) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	o->n_threads += ok;
	return ok;
}

void
offload_run(struct offload *o, void (*fn)(void *arg), void *arg)
{
	struct job job = {.fiber = fiber_current(o->loop), .fn = fn, .arg = arg};

	if (job.fiber == NULL || o->max_threads == 0 ||
	    (o->n_running >= o->n_threads && o->n_threads < o->max_threads &&
	     !start_thread(o) && o->n_threads == 0)) {
		fn(arg);
		return;
	}
	list_init(&job.link);
	watch_start(&o->watch);
	o->n_running++;
	pthread_mutex_lock(&o->lock);
	list_append(&o->queued, &job.link);
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->lock);
	fiber_park_shielded(o->loop);
}

void
offload_free(struct offload **offload)
{
	struct offload *o = *offload;

	if (o == NULL)
		return;
	*offload = NULL;
	ensure(o->n_running == 0);
	pthread_mutex_lock(&o->lock);
	o->ending = true;
	pthread_cond_broadcast(&o->work);
	pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < o->n_threads; i++)
		pthread_join(o->threads[i], NULL);
	watch_stop(&o->watch);
	close(o->fd);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->work);
	mem_free(o);
}
