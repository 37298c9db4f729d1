/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/group.h"

#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"

#include "fiber/event.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

struct batch {
	struct group *group;
	struct event over;
	struct buf bytes;
	size_t waiters;
	bool done;
	bool ok;
	struct err err;
};

struct group {
	struct loop *loop;
	struct offload *offload;
	group_commit_fn *commit;
	void *arg;
	size_t bytes_max;
	struct batch *gathering; /* NULL: nobody waits for the next commit */
	bool running;
};

struct group *
group_new(struct loop *loop, size_t bytes_max, group_commit_fn *commit, void *arg)
{
	struct group *g = mem_alloc(sizeof(*g));

	*g = (struct group){
		.loop = loop, .commit = commit, .arg = arg, .bytes_max = bytes_max};
	g->offload = offload_new(loop, 1);
	return g;
}

void
group_free(struct group **group)
{
	struct group *g = *group;

	if (g == NULL)
		return;
	ensure(!g->running && g->gathering == NULL);
	offload_free(&g->offload);
	mem_free(g);
	*group = NULL;
}

static struct batch *
batch_to_join(struct group *g)
{
	struct batch *b = g->gathering;

	if (b != NULL)
		return b;
	b = mem_alloc(sizeof(*b));
	*b = (struct batch){.group = g};
	event_init(&b->over, g->loop);
	buf_init(&b->bytes, g->bytes_max);
	g->gathering = b;
	return b;
}

static void
batch_leave(struct batch *b)
{
	struct group *g = b->group;

	if (--b->waiters == 0) {
		if (g->gathering == b)
			g->gathering = NULL;
		buf_release(&b->bytes);
		mem_free(b);
	}
	/* Who was to lead may have been cancelled. */
	if (!g->running && g->gathering != NULL)
		event_signal_one(&g->gathering->over);
}

/* In the helper thread. */
static void
run(void *arg)
{
	struct batch *b = arg;

	b->ok = b->group->commit(b->group->arg, buf_str(&b->bytes), &b->err);
}

static void
lead(struct group *g, struct batch *b)
{
	g->running = true;
	g->gathering = NULL;
	offload_run(g->offload, run, b);
	g->running = false;
	b->done = true;
	event_signal_all(&b->over);
}

bool
group_join(struct group *g, struct str bytes, struct err *err)
{
	struct batch *b = batch_to_join(g);
	bool cancelled = false;
	bool ok;

	b->waiters++;
	if (b->bytes.len + bytes.len > g->bytes_max) {
		batch_leave(b);
		return err_set(err, ERR_PERM, "too much waits to be written");
	}
	buf_add(&b->bytes, bytes);
	while (!b->done && !cancelled) {
		if (!g->running)
			lead(g, b);
		else
			cancelled = event_wait(&b->over, LOOP_FOREVER) == FIBER_CANCELLED;
	}
	ok = b->done && b->ok;
	if (!ok && b->done)
		*err = b->err;
	else if (!ok)
		IGNORE(err_set(err, ERR_TEMP, "stopped before it was on disk"));
	batch_leave(b);
	return ok;
}
