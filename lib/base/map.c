/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing over an index of 32-bit positions into an array of entries in insertion
 * order. A removed entry leaves a hole (value NULL) until the next rebuild.
 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/panic.h"

enum { INDEX_FIRST = 16, AT_RANDOM_BYTES = 16 };
enum { FREE = UINT32_MAX };

struct map {
	struct map_entry *entries;
	uint32_t *index;
	size_t n_entries; /* with holes */
	size_t n_live;
	size_t index_size; /* a power of two */
	uint64_t seed;
};

/* From what nobody outside knows: the kernel gives each program that it starts 16 random
 * bytes (getauxval(3)). They cost no system call, which a map of a message's headers
 * would notice. */
static uint64_t
seed_of(const struct map *m)
{
	const char *bytes = (const char *)(uintptr_t)getauxval(AT_RANDOM);

	return str_hash(bytes == NULL ? STR_EMPTY : str_from_mem(bytes, AT_RANDOM_BYTES),
			(uint64_t)(uintptr_t)m);
}

struct map *
map_new(void)
{
	struct map *m = mem_alloc(sizeof(*m));

	m->seed = seed_of(m);
	return m;
}

static void
free_key(struct map_entry *e)
{
	mem_free((void *)(uintptr_t)e->key.p);
}

void
map_free(struct map **m)
{
	if (*m == NULL)
		return;
	for (size_t i = 0; i < (*m)->n_entries; i++) {
		if ((*m)->entries[i].value != NULL)
			free_key(&(*m)->entries[i]);
	}
	mem_free((*m)->entries);
	mem_free((*m)->index);
	mem_free(*m);
	*m = NULL;
}

static void
free_deferred(void *p)
{
	struct map *m = p;

	map_free(&m);
}

struct map *
map_new_in(struct arena *mem)
{
	struct map *m = map_new();

	arena_defer(mem, free_deferred, m);
	return m;
}

static bool
same(const struct map_entry *e, struct str key)
{
	return e->value != NULL && str_eq(e->key, key);
}

/* The index slot of the key, or the free slot where it would go. */
static size_t
slot_of(const struct map *m, struct str key)
{
	size_t at = str_hash(key, m->seed) & (m->index_size - 1);

	while (m->index[at] != (uint32_t)FREE && !same(&m->entries[m->index[at]], key))
		at = (at + 1) & (m->index_size - 1);
	return at;
}

void *
map_find(const struct map *m, struct str key)
{
	size_t at;

	if (m->n_live == 0)
		return NULL;
	at = slot_of(m, key);
	return m->index[at] == (uint32_t)FREE ? NULL : m->entries[m->index[at]].value;
}

/* Drop the holes and make an index that is at most half full after one more entry. */
static void
rebuild(struct map *m)
{
	size_t size = INDEX_FIRST;
	size_t live = 0;

	while (size < (m->n_live + 1) * 4)
		size *= 2;
	for (size_t i = 0; i < m->n_entries; i++) {
		if (m->entries[i].value != NULL)
			m->entries[live++] = m->entries[i];
	}
	m->n_entries = live;
	m->entries = mem_realloc(m->entries, mem_size_mul(size / 2, sizeof(*m->entries)));
	mem_free(m->index);
	m->index = mem_alloc_array(size, sizeof(*m->index));
	memset(m->index, 0xff, size * sizeof(*m->index));
	m->index_size = size;
	for (size_t i = 0; i < live; i++)
		m->index[slot_of(m, m->entries[i].key)] = (uint32_t)i;
}

void *
map_set(struct map *m, struct str key, void *value)
{
	struct map_entry *e;
	size_t at;

	ensure(value != NULL);
	if (m->n_entries + 1 > m->index_size / 2)
		rebuild(m);
	at = slot_of(m, key);
	if (m->index[at] != (uint32_t)FREE) {
		void *old;

		e = &m->entries[m->index[at]];
		old = e->value;
		e->value = value;
		return old;
	}
	ensure(m->n_entries < (size_t)FREE);
	m->index[at] = (uint32_t)m->n_entries;
	e = &m->entries[m->n_entries++];
	/* UNSAFE: key.len + 1 cannot wrap, the key exists in memory. */
	e->key.p = mem_alloc(key.len + 1);
	if (key.len > 0)
		memcpy((void *)(uintptr_t)e->key.p, key.p, key.len);
	e->key.len = key.len;
	e->value = value;
	m->n_live++;
	return NULL;
}

void *
map_remove(struct map *m, struct str key)
{
	struct map_entry *e;
	void *old;
	size_t at;

	if (m->n_live == 0)
		return NULL;
	at = slot_of(m, key);
	if (m->index[at] == (uint32_t)FREE)
		return NULL;
	e = &m->entries[m->index[at]];
	old = e->value;
	free_key(e);
	e->key = STR_EMPTY;
	e->value = NULL;
	m->n_live--;
	return old;
}

size_t
map_count(const struct map *m)
{
	return m->n_live;
}

const struct map_entry *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->n_entries) {
		const struct map_entry *e = &m->entries[(*at)++];

		if (e->value != NULL)
			return e;
	}
	return NULL;
}
