/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

struct entry {
	struct list link; /* oldest first */
	struct str id;
	struct str session;
	int64_t until_s;
	char bytes[]; /* of both */
};

struct sessions {
	struct map *by_id;
	struct list all;
	size_t bytes;
};

struct sessions *
sessions_new(void)
{
	struct sessions *s = mem_alloc(sizeof(*s));

	s->by_id = map_new();
	list_init(&s->all);
	return s;
}

static size_t
size_of(const struct entry *e)
{
	return sizeof(*e) + e->id.len + e->session.len;
}

static void
drop(struct sessions *s, struct entry *e)
{
	size_t size = size_of(e);

	map_remove(s->by_id, e->id);
	list_remove(&e->link);
	s->bytes -= size;
	explicit_bzero(e, size);
	mem_free(e);
}

static struct entry *
oldest(const struct sessions *s)
{
	return CONTAINER_OF(list_first(&s->all), struct entry, link);
}

void
sessions_free(struct sessions **s)
{
	if (*s == NULL)
		return;
	while (!list_is_empty(&(*s)->all))
		drop(*s, oldest(*s));
	map_free(&(*s)->by_id);
	mem_free(*s);
	*s = NULL;
}

void
sessions_put(struct sessions *s, struct str id, struct str session, int64_t now_s,
	     int64_t seconds)
{
	struct entry *e = map_find(s->by_id, id);

	if (e != NULL)
		drop(s, e);
	if (id.len == 0 || session.len == 0)
		return;
	e = mem_alloc(mem_size_add(sizeof(*e), mem_size_add(id.len, session.len)));
	memcpy(e->bytes, id.p, id.len);
	memcpy(e->bytes + id.len, session.p, session.len);
	e->id = str_from_mem(e->bytes, id.len);
	e->session = str_from_mem(e->bytes + id.len, session.len);
	e->until_s = now_s + seconds;
	list_append(&s->all, &e->link);
	map_set(s->by_id, e->id, e);
	s->bytes += size_of(e);
	while (map_count(s->by_id) > SESSIONS_MAX || s->bytes > SESSIONS_BYTES)
		drop(s, oldest(s));
}

struct str
sessions_get(struct sessions *s, struct str id, int64_t now_s)
{
	struct entry *e = map_find(s->by_id, id);

	if (e == NULL)
		return STR_EMPTY;
	if (now_s < e->until_s)
		return e->session;
	drop(s, e);
	return STR_EMPTY;
}

void
sessions_expire(struct sessions *s, int64_t now_s)
{
	struct list *at = list_first(&s->all);

	while (at != NULL && at != &s->all) {
		struct entry *e = CONTAINER_OF(at, struct entry, link);

		at = at->next;
		if (now_s >= e->until_s)
			drop(s, e);
	}
}

size_t
sessions_count(const struct sessions *s)
{
	return map_count(s->by_id);
}
