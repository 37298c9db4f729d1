/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

struct entry {
	struct list link;
	int64_t since_ms;
	int64_t failures;
	char *name;
	size_t name_len;
};

struct limit {
	int64_t most;
	struct map *names;
	struct list oldest_first;
};

struct limit *
limit_new(int64_t most)
{
	struct limit *l = mem_alloc(sizeof(*l));

	l->most = most;
	l->names = map_new();
	list_init(&l->oldest_first);
	return l;
}

static void
forget(struct limit *l, struct entry *e)
{
	map_remove(l->names, str_from_mem(e->name, e->name_len));
	list_remove(&e->link);
	mem_free(e->name);
	mem_free(e);
}

void
limit_free(struct limit **l)
{
	if (*l == NULL)
		return;
	while (!list_is_empty(&(*l)->oldest_first))
		forget(*l,
		       CONTAINER_OF(list_first(&(*l)->oldest_first), struct entry, link));
	map_free(&(*l)->names);
	mem_free(*l);
	*l = NULL;
}

static struct entry *
find(const struct limit *l, struct str name, int64_t now_ms)
{
	struct entry *e = map_find(l->names, name);

	return e != NULL && now_ms - e->since_ms < LIMIT_WINDOW_MS ? e : NULL;
}

bool
limit_is_reached(const struct limit *l, struct str name, int64_t now_ms)
{
	const struct entry *e = find(l, name, now_ms);

	return l->most > 0 && e != NULL && e->failures >= l->most;
}

void
limit_count(struct limit *l, struct str name, int64_t now_ms)
{
	struct entry *e = find(l, name, now_ms);

	if (l->most == 0)
		return;
	if (e == NULL) {
		limit_forget(l, name);
		if (map_count(l->names) >= LIMIT_NAMES_MAX)
			forget(l, CONTAINER_OF(list_first(&l->oldest_first), struct entry,
					       link));
		e = mem_alloc(sizeof(*e));
		e->since_ms = now_ms;
		e->name = mem_alloc(name.len + 1);
		for (size_t i = 0; i < name.len; i++)
			e->name[i] = name.p[i];
		e->name_len = name.len;
		map_set(l->names, name, e);
		list_append(&l->oldest_first, &e->link);
	}
	e->failures++;
}

void
limit_forget(struct limit *l, struct str name)
{
	struct entry *e = map_find(l->names, name);

	if (e != NULL)
		forget(l, e);
}
