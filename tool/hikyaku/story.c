/* SPDX-License-Identifier: Apache-2.0 */
#include "story.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/panic.h"

/* How far the line that leads to a message may be from the message's own lines. */
enum {
	LINK_WINDOW_S = 3600, /* between a link and the lines of its message */
	FILTER_WINDOW_S = 60, /* between what a filter got and what it gave back */
	HOST_WINDOW_S = 60,   /* between lines of one id under two host names */
	SECOND_US = 1000000
};

struct list_of {
	void **items;
	size_t n, size;
};

struct story {
	struct arena *mem;
	struct list_of events;
	struct list_of messages;
	struct list_of groups;
	struct list_of loose;
	struct map *by_id;         /* id -> struct list_of of messages */
	struct map *by_message_id; /* the same for message-ids */
	uint64_t dropped;
};

static void
list_release(void *p)
{
	struct list_of *l = p;

	mem_free(l->items);
}

static void
list_add(struct list_of *l, void *item)
{
	if (l->n == l->size) {
		l->size = MAX_OF((size_t)16, l->size * 2);
		l->items = mem_realloc(l->items, mem_size_mul(l->size, sizeof(void *)));
	}
	l->items[l->n++] = item;
}

struct story *
story_new(struct arena *mem)
{
	struct story *s = ARENA_NEW(mem, struct story);

	s->mem = mem;
	s->by_id = map_new_in(mem);
	s->by_message_id = map_new_in(mem);
	arena_defer(mem, list_release, &s->events);
	arena_defer(mem, list_release, &s->messages);
	arena_defer(mem, list_release, &s->groups);
	arena_defer(mem, list_release, &s->loose);
	return s;
}

void
story_add(struct story *s, const struct story_line *line)
{
	struct event *e;

	if (arena_used(s->mem) + line->raw.len + sizeof(*e) > STORY_BYTES_MAX) {
		s->dropped++;
		return;
	}
	e = ARENA_NEW(s->mem, struct event);
	e->file = line->file;
	e->offset = line->offset;
	e->is_key = line->is_key;
	/* Parsed again in the copy, so that all views point there. */
	ensure(log_line_parse(str_dup(s->mem, line->raw), line->reference_s, &e->line));
	e->about = e->line.id.len > 0 ? e->line.id : str_dup(s->mem, line->mentions);
	list_add(&s->events, e);
}

static int
event_order(const void *a, const void *b)
{
	const struct event *x = *(struct event *const *)a;
	const struct event *y = *(struct event *const *)b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void
sort_events(struct story *s)
{
	struct event **e = (struct event **)s->events.items;
	size_t n = 0;

	if (s->events.n == 0)
		return;
	qsort(e, s->events.n, sizeof(*e), event_order);
	for (size_t i = 1; i < s->events.n; i++) {
		if (e[i]->file != e[n]->file || e[i]->offset != e[n]->offset) {
			e[++n] = e[i];
			continue;
		}
		e[n]->is_key = e[n]->is_key || e[i]->is_key;
		if (e[n]->about.len == 0)
			e[n]->about = e[i]->about;
	}
	s->events.n = n + 1;
}

static struct list_of *
list_in(struct story *s, struct map *map, struct str key)
{
	struct list_of *l = map_find(map, key);

	if (l == NULL) {
		l = ARENA_NEW(s->mem, struct list_of);
		arena_defer(s->mem, list_release, l);
		map_set(map, key, l);
	}
	return l;
}

static bool
is_start(const struct event *e)
{
	return e->line.kind == LOG_CLIENT || e->line.kind == LOG_PICKUP;
}

/* Does the line begin a new message where the last one with this id has ended? */
static bool
is_new_use(const struct message *m, const struct event *e)
{
	return m->removed != NULL &&
	       (is_start(e) || e->line.kind == LOG_MESSAGE_ID ||
		e->line.kind == LOG_ACTIVE) &&
	       e->line.time_us > m->removed->line.time_us;
}

/* A log of several hosts may have the same short id twice. But a service with a
 * myhostname of its own (to take mail back from a filter) logs under that name, and is
 * the same machine: then the lines follow each other, and one of them is the start. */
static bool
is_same_host(const struct message *m, const struct event *e)
{
	const int64_t window_us = (int64_t)HOST_WINDOW_S * SECOND_US;

	if (str_eq(m->host, e->line.host))
		return true;
	return llabs(e->line.time_us - m->last_us) <= window_us &&
	       (m->start == NULL) == is_start(e);
}

static struct message *
message_for(struct story *s, const struct event *e)
{
	struct list_of *same_id = list_in(s, s->by_id, e->line.id);
	struct message *m;

	for (size_t i = same_id->n; i-- > 0;) {
		m = same_id->items[i];
		if (!is_same_host(m, e))
			continue;
		if (is_new_use(m, e))
			break;
		return m;
	}
	m = ARENA_NEW(s->mem, struct message);
	m->id = e->line.id;
	m->host = e->line.host;
	m->first_us = e->line.time_us;
	list_add(same_id, m);
	list_add(&s->messages, m);
	return m;
}

/* The message that has this id at about this time; not `except`. */
static struct message *
message_near(const struct story *s, struct str id, int64_t time_us,
	     const struct message *except)
{
	const struct list_of *l = id.len == 0 ? NULL : map_find(s->by_id, id);
	const int64_t window_us = (int64_t)LINK_WINDOW_S * SECOND_US;
	struct message *best = NULL;
	int64_t best_distance = INT64_MAX;

	for (size_t i = 0; l != NULL && i < l->n; i++) {
		struct message *m = l->items[i];
		int64_t distance;

		if (m == except || time_us < m->first_us - window_us ||
		    time_us > m->last_us + window_us)
			continue;
		distance = llabs(m->first_us - time_us);
		if (distance < best_distance) {
			best = m;
			best_distance = distance;
		}
	}
	return best;
}

/* Lines that begin with a queue id make the messages; of[] says which line is whose. */
static void
make_messages(struct story *s, struct message **of)
{
	struct event **e = (struct event **)s->events.items;

	for (size_t i = 0; i < s->events.n; i++) {
		if (e[i]->line.id.len == 0)
			continue;
		of[i] = message_for(s, e[i]);
		of[i]->last_us = e[i]->line.time_us;
		if (is_start(e[i]) && of[i]->start == NULL)
			of[i]->start = e[i];
		if (e[i]->line.kind == LOG_REMOVED)
			of[i]->removed = e[i];
	}
}

/* The other lines: to the message they mention, or to those that stand alone. */
static void
place_mentions(struct story *s, struct message **of)
{
	struct event **e = (struct event **)s->events.items;

	for (size_t i = 0; i < s->events.n; i++) {
		if (of[i] != NULL)
			continue;
		of[i] = message_near(s, e[i]->about, e[i]->line.time_us, NULL);
		if (of[i] == NULL && e[i]->is_key)
			list_add(&s->loose, e[i]);
	}
}

static void
message_note(struct message *m, struct event *e)
{
	m->events[m->n_events++] = e;
	m->has_key = m->has_key || e->is_key;
	if (e->line.kind == LOG_ACTIVE) {
		m->active = e;
		m->host = e->line.host; /* the queue manager's is the machine's own */
	}
	if (e->line.kind == LOG_MESSAGE_ID && m->message_id.len == 0)
		m->message_id = e->line.message_id;
}

static void
group_events(struct story *s)
{
	struct event **e = (struct event **)s->events.items;
	struct message **of = arena_alloc_array(s->mem, s->events.n + 1, sizeof(*of));

	make_messages(s, of);
	place_mentions(s, of);
	for (size_t i = 0; i < s->events.n; i++) {
		if (of[i] != NULL)
			of[i]->n_events++;
	}
	for (size_t i = 0; i < s->messages.n; i++) {
		struct message *m = s->messages.items[i];

		m->events = arena_alloc_array(s->mem, m->n_events, sizeof(*m->events));
		m->n_events = 0;
	}
	for (size_t i = 0; i < s->events.n; i++) {
		if (of[i] != NULL)
			message_note(of[i], e[i]);
	}
}

static void
join(struct message *a, struct message *b)
{
	struct group *from = b->group;
	struct group *to = a->group;
	struct message **all;

	if (from == to)
		return;
	/* Move the smaller into the larger; the lists grow by copying. */
	if (from->n_messages > to->n_messages) {
		from = a->group;
		to = b->group;
	}
	all = mem_alloc_array(to->n_messages + from->n_messages,
			      sizeof(struct message *));
	memcpy(all, to->messages, to->n_messages * sizeof(struct message *));
	memcpy(all + to->n_messages, from->messages,
	       from->n_messages * sizeof(struct message *));
	for (size_t i = 0; i < from->n_messages; i++)
		from->messages[i]->group = to;
	mem_free(to->messages);
	mem_free(from->messages);
	to->messages = all;
	to->n_messages += from->n_messages;
	from->messages = NULL;
	from->n_messages = 0;
}

static void
group_release(void *p)
{
	struct group *g = p;

	mem_free(g->messages);
}

/* To each message the group of its own. */
static void
make_groups(struct story *s)
{
	for (size_t i = 0; i < s->messages.n; i++) {
		struct message *m = s->messages.items[i];
		struct group *g = ARENA_NEW(s->mem, struct group);

		g->messages = mem_alloc_array(1, sizeof(struct message *));
		g->messages[0] = m;
		g->n_messages = 1;
		arena_defer(s->mem, group_release, g);
		m->group = g;
		list_add(&s->groups, g);
	}
}

static void
link_by_id(struct story *s)
{
	for (size_t i = 0; i < s->messages.n; i++) {
		struct message *m = s->messages.items[i];

		for (size_t j = 0; j < m->n_events; j++) {
			const struct log_line *l = &m->events[j]->line;
			struct message *to = message_near(s, l->link, l->time_us, m);

			if (to != NULL)
				join(m, to);
		}
	}
}

/* m was given to a filter (`handed`); messages with its message-id that began here soon
 * after are what the filter gave back. */
static void
link_filtered(const struct list_of *same, struct message *m, const struct event *handed)
{
	const int64_t window_us = (int64_t)FILTER_WINDOW_S * SECOND_US;

	for (size_t i = 0; i < same->n; i++) {
		struct message *n = same->items[i];

		if (n != m && n->start != NULL && log_is_from_here(&n->start->line) &&
		    n->first_us >= m->first_us &&
		    n->first_us <= handed->line.time_us + window_us)
			join(m, n);
	}
}

static void
link_by_message_id(struct story *s)
{
	for (size_t i = 0; i < s->messages.n; i++) {
		struct message *m = s->messages.items[i];

		if (m->message_id.len > strlen("<>"))
			list_add(list_in(s, s->by_message_id, m->message_id), m);
	}
	for (size_t i = 0; i < s->messages.n; i++) {
		struct message *m = s->messages.items[i];
		const struct list_of *same = map_find(s->by_message_id, m->message_id);

		for (size_t j = 0; same != NULL && same->n > 1 && j < m->n_events; j++) {
			if (log_is_handed_on(&m->events[j]->line))
				link_filtered(same, m, m->events[j]);
		}
	}
}

static int
message_order(const void *a, const void *b)
{
	const struct message *x = *(struct message *const *)a;
	const struct message *y = *(struct message *const *)b;

	return event_order(&x->events[0], &y->events[0]);
}

static int
group_order(const void *a, const void *b)
{
	const struct group *x = *(struct group *const *)a;
	const struct group *y = *(struct group *const *)b;

	return event_order(&x->messages[0]->events[0], &y->messages[0]->events[0]);
}

static bool
group_finish(struct group *g)
{
	bool has_key = false;

	if (g->n_messages == 0)
		return false;
	qsort(g->messages, g->n_messages, sizeof(struct message *), message_order);
	for (size_t i = 0; i < g->n_messages; i++)
		has_key = has_key || g->messages[i]->has_key;
	return has_key;
}

void
story_finish(struct story *s)
{
	size_t n = 0;

	sort_events(s);
	group_events(s);
	make_groups(s);
	link_by_id(s);
	link_by_message_id(s);
	for (size_t i = 0; i < s->groups.n; i++) {
		if (group_finish(s->groups.items[i]))
			s->groups.items[n++] = s->groups.items[i];
	}
	s->groups.n = n;
	if (n > 1)
		qsort(s->groups.items, n, sizeof(void *), group_order);
}

struct group **
story_groups(const struct story *s, size_t *n_out)
{
	*n_out = s->groups.n;
	return (struct group **)s->groups.items;
}

struct event **
story_events(const struct story *s, size_t *n_out)
{
	*n_out = s->events.n;
	return (struct event **)s->events.items;
}

struct event **
story_loose(const struct story *s, size_t *n_out)
{
	*n_out = s->loose.n;
	return (struct event **)s->loose.items;
}

uint64_t
story_dropped(const struct story *s)
{
	return s->dropped;
}
