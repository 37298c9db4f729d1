/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Doubly linked lists whose links live in the elements. A link that is in no list points
 * to itself after list_init(); list_remove() restores that, so removing twice is
 * harmless.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

/* Put e before l: with l the head, at the end of the list. */
static inline void
list_append(struct list *l, struct list *e)
{
	e->next = l;
	e->prev = l->prev;
	l->prev->next = e;
	l->prev = e;
}

/* Put e after l: with l the head, at the beginning of the list. */
static inline void
list_prepend(struct list *l, struct list *e)
{
	list_append(l->next, e);
}

static inline void
list_remove(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* The first link, or NULL for an empty list. */
static inline struct list *
list_first(const struct list *l)
{
	return list_is_empty(l) ? NULL : l->next;
}

/* Walk the links; the current element must not be removed. */
#define list_foreach(at, head)                                                           \
	for (struct list *at = (head)->next; at != (head); at = at->next)

/* Walk the links; the current element may be removed. */
#define list_foreach_safe(at, next_at, head)                                             \
	for (struct list *at = (head)->next, *next_at = at->next; at != (head);          \
	     at = next_at, next_at = at->next)
