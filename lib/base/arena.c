/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of chunks, each twice the size of the one before up to CHUNK_MAX; requests
 * above a quarter of a chunk get one of their own. Deferred calls are kept in the arena
 * itself.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { CHUNK_FIRST = 2048, CHUNK_MAX = 65536 };

struct chunk {
	struct chunk *older;
	size_t size;
	size_t used;
	alignas(max_align_t) char data[];
};

struct deferred {
	struct deferred *older;
	void (*fn)(void *p);
	void *p;
};

struct arena {
	struct chunk *newest;
	struct deferred *deferred;
	struct arena *parent;
	const void *note_key, *note;
	size_t next_size;
	size_t handed_out;
};

static struct chunk *
chunk_new(size_t size, struct chunk *older)
{
	/* Not zeroed: take() does that for what is asked for, and the pages of the rest
	 * are never touched. */
	struct chunk *c = mem_realloc(NULL, mem_size_add(sizeof(*c), size));

	c->size = size;
	c->used = 0;
	c->older = older;
	return c;
}

struct arena *
arena_new(void)
{
	struct arena *mem = mem_alloc(sizeof(*mem));

	mem->next_size = CHUNK_FIRST;
	return mem;
}

static void
run_deferred(struct arena *mem)
{
	while (mem->deferred != NULL) {
		struct deferred *d = mem->deferred;

		mem->deferred = d->older;
		d->fn(d->p);
	}
}

static void
end_contents(struct arena *mem, struct chunk *keep)
{
	struct chunk *c = mem->newest;

	run_deferred(mem);
	while (c != keep) {
		struct chunk *older = c->older;

		mem_free(c);
		c = older;
	}
	mem->newest = keep;
}

static void
child_end(void *p)
{
	struct arena *child = p;

	end_contents(child, NULL);
	mem_free(child);
}

/* A child that is freed before its parent takes itself off the parent's list. */
static void
forget_child(struct arena *parent, struct arena *child)
{
	for (struct deferred **d = &parent->deferred; *d != NULL; d = &(*d)->older) {
		if ((*d)->fn == child_end && (*d)->p == child) {
			*d = (*d)->older;
			return;
		}
	}
}

void
arena_free(struct arena **mem)
{
	struct arena *a = *mem;

	if (a == NULL)
		return;
	*mem = NULL;
	if (a->parent != NULL)
		forget_child(a->parent, a);
	child_end(a);
}

struct arena *
arena_new_child(struct arena *parent)
{
	struct arena *child = arena_new();

	child->parent = parent;
	arena_defer(parent, child_end, child);
	return child;
}

void
arena_reset(struct arena *mem)
{
	struct chunk *first = mem->newest;

	while (first != NULL && first->older != NULL)
		first = first->older;
	end_contents(mem, first);
	if (first != NULL)
		first->used = 0;
	mem->next_size = CHUNK_FIRST;
	mem->handed_out = 0;
}

static void *
take(struct chunk *c, size_t size)
{
	void *p = c->data + c->used;

	c->used += size;
	return memset(p, 0, size);
}

void *
arena_alloc(struct arena *mem, size_t size)
{
	size_t rounded = mem_size_add(size, alignof(max_align_t) - 1) &
			 ~(alignof(max_align_t) - 1);
	struct chunk *c = mem->newest;

	mem->handed_out += rounded;
	if (c != NULL && c->size - c->used >= rounded)
		return take(c, rounded);
	if (rounded > mem->next_size / 4 && c != NULL) {
		/* A large one goes behind the newest, whose free rest stays in use. */
		c->older = chunk_new(rounded, c->older);
		return take(c->older, rounded);
	}
	mem->newest = chunk_new(MAX_OF(mem->next_size, rounded), c);
	mem->next_size = MIN_OF(mem->next_size * 2, (size_t)CHUNK_MAX);
	return take(mem->newest, rounded);
}

void *
arena_alloc_array(struct arena *mem, size_t count, size_t size)
{
	return arena_alloc(mem, mem_size_mul(count, size));
}

void *
arena_memdup(struct arena *mem, const void *p, size_t size)
{
	char *copy = arena_alloc(mem, mem_size_add(size, 1));

	if (size > 0)
		memcpy(copy, p, size);
	return copy;
}

char *
arena_strdup(struct arena *mem, const char *s)
{
	return arena_memdup(mem, s, strlen(s));
}

void
arena_defer(struct arena *mem, void (*fn)(void *p), void *p)
{
	struct deferred *d = ARENA_NEW(mem, struct deferred);

	d->fn = fn;
	d->p = p;
	d->older = mem->deferred;
	mem->deferred = d;
}

static void
close_deferred(void *p)
{
	close((int)(intptr_t)p);
}

void
arena_defer_close(struct arena *mem, int fd)
{
	arena_defer(mem, close_deferred, (void *)(intptr_t)fd);
}

size_t
arena_used(const struct arena *mem)
{
	return mem->handed_out;
}

void
arena_set_note(struct arena *mem, const void *key, const void *note)
{
	mem->note_key = key;
	mem->note = note;
}

const void *
arena_note(const struct arena *mem, const void *key)
{
	for (; mem != NULL; mem = mem->parent)
		if (mem->note_key == key)
			return mem->note;
	return NULL;
}
