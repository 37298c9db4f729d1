/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"

#include "tls_internal.h"

enum { ENTRIES_MAX = 500, SESSION_MAX = 16384 };

struct entry {
	struct list link;
	int64_t until_ms;
	size_t key_len;
	size_t session_len;
	char bytes[]; /* key and session */
};

void
tls_cache_init(struct tls_cache *c)
{
	list_init(&c->entries);
	c->count = 0;
}

static void
drop(struct tls_cache *c, struct entry *e)
{
	list_remove(&e->link);
	c->count--;
	mem_free(e);
}

static struct entry *
find(struct tls_cache *c, struct str key, int64_t now_ms)
{
	list_foreach_safe(at, next, &c->entries)
	{
		struct entry *e = CONTAINER_OF(at, struct entry, link);

		if (e->until_ms <= now_ms)
			drop(c, e);
		else if (str_eq(str_from_mem(e->bytes, e->key_len), key))
			return e;
	}
	return NULL;
}

struct str
tls_cache_find(struct tls_cache *c, struct arena *mem, struct str key, int64_t now_ms)
{
	struct entry *e = find(c, key, now_ms);

	if (e == NULL)
		return STR_EMPTY;
	return str_dup(mem, str_from_mem(e->bytes + e->key_len, e->session_len));
}

void
tls_cache_put(struct tls_cache *c, struct str key, struct str session, int64_t until_ms)
{
	struct entry *e = find(c, key, 0);

	if (e != NULL)
		drop(c, e);
	if (session.len > SESSION_MAX)
		return;
	if (c->count >= ENTRIES_MAX)
		drop(c, CONTAINER_OF(c->entries.prev, struct entry, link));
	e = mem_alloc(sizeof(*e) + key.len + session.len);
	list_init(&e->link);
	e->until_ms = until_ms;
	e->key_len = key.len;
	e->session_len = session.len;
	memcpy(e->bytes, key.p, key.len);
	memcpy(e->bytes + key.len, session.p, session.len);
	list_prepend(&c->entries, &e->link);
	c->count++;
}
