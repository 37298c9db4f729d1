/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs lie on the stacks of the fibers that wait for them: in `todo` until a thread takes
 * one, in `done` until the loop wakes the fiber.
 */
#include "fiber/offload.h"

#include <pthread.h>
#include <signal.h>

#include "base/mem.h"
#include "base/panic.h"
#include "fiber/loop_internal.h"

enum { OFFLOAD_THREADS_MAX = 64, OFFLOAD_STACK_BYTES = 1024 * 1024 };

struct job {
	struct list link;
	struct fiber *fiber;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

struct offload {
	struct list link; /* in loop->offloads; that and pending: loop's thread only */
	struct loop *loop;
	size_t pending;
	unsigned threads_max;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t work;
	struct list todo;
	struct list done;
	unsigned idle;
	unsigned threads;
	bool ending;
	pthread_t ids[OFFLOAD_THREADS_MAX];
};

struct offload *
offload_new(struct loop *loop, unsigned threads)
{
	struct offload *o = mem_alloc(sizeof(*o));

	if (threads > OFFLOAD_THREADS_MAX)
		panic("offload_new(): %u threads", threads);
	o->loop = loop;
	o->threads_max = threads;
	list_init(&o->todo);
	list_init(&o->done);
	if (pthread_mutex_init(&o->lock, NULL) != 0 ||
	    pthread_cond_init(&o->work, NULL) != 0)
		panic("no mutex");
	list_append(&loop->offloads, &o->link);
	return o;
}

static void *
helper_main(void *arg)
{
	struct offload *o = arg;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		struct job *j;

		while (list_is_empty(&o->todo) && !o->ending) {
			o->idle++;
			pthread_cond_wait(&o->work, &o->lock);
			o->idle--;
		}
		if (list_is_empty(&o->todo))
			break;
		j = CONTAINER_OF(list_first(&o->todo), struct job, link);
		list_remove(&j->link);
		pthread_mutex_unlock(&o->lock);
		j->fn(j->arg);
		pthread_mutex_lock(&o->lock);
		list_append(&o->done, &j->link);
		loop_ring(o->loop);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* With the lock held. False if no thread exists and none can be made. */
static bool
need_helper(struct offload *o)
{
	pthread_attr_t attr;
	sigset_t all, old;
	bool ok;

	if (o->idle > 0 || o->threads == o->threads_max)
		return o->threads > 0;
	if (pthread_attr_init(&attr) != 0)
		return o->threads > 0;
	pthread_attr_setstacksize(&attr, OFFLOAD_STACK_BYTES);
	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = pthread_create(&o->ids[o->threads], &attr, helper_main, o) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (ok)
		o->threads++;
	return o->threads > 0;
}

void
offload_run(struct offload *o, void (*fn)(void *arg), void *arg)
{
	struct job j = {.fiber = fiber_current(o->loop), .fn = fn, .arg = arg};
	bool queued;

	if (j.fiber == NULL) {
		fn(arg);
		return;
	}
	pthread_mutex_lock(&o->lock);
	queued = need_helper(o);
	if (queued) {
		list_append(&o->todo, &j.link);
		pthread_cond_signal(&o->work);
	}
	pthread_mutex_unlock(&o->lock);
	if (!queued) {
		fn(arg);
		return;
	}
	o->pending++;
	while (!j.done)
		fiber_park_shielded(o->loop);
	o->pending--;
}

void
loop_offloads_collect(struct loop *loop)
{
	list_foreach (at, &loop->offloads) {
		struct offload *o = CONTAINER_OF(at, struct offload, link);
		struct list *first;

		pthread_mutex_lock(&o->lock);
		while ((first = list_first(&o->done)) != NULL) {
			struct job *j = CONTAINER_OF(first, struct job, link);

			list_remove(first);
			j->done = true;
			fiber_unpark(j->fiber);
		}
		pthread_mutex_unlock(&o->lock);
	}
}

void
offload_free(struct offload **offload)
{
	struct offload *o = *offload;

	if (o == NULL)
		return;
	if (o->pending > 0)
		panic("offload_free() while jobs are under way");
	pthread_mutex_lock(&o->lock);
	o->ending = true;
	pthread_cond_broadcast(&o->work);
	pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < o->threads; i++)
		pthread_join(o->ids[i], NULL);
	list_remove(&o->link);
	pthread_cond_destroy(&o->work);
	pthread_mutex_destroy(&o->lock);
	mem_free(o);
	*offload = NULL;
}
