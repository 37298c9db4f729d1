/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "base/macros.h"
#include "base/mem.h"
#include "base/panic.h"

void
heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void
heap_release(struct heap *h)
{
	mem_free(h->nodes);
	heap_init(h);
}

static void
put(struct heap *h, size_t place, struct heap_node *node)
{
	h->nodes[place - 1] = node;
	node->place = place;
}

static struct heap_node *
at(const struct heap *h, size_t place)
{
	return h->nodes[place - 1];
}

static void
sift_up(struct heap *h, struct heap_node *node, size_t place)
{
	while (place > 1 && at(h, place / 2)->key > node->key) {
		put(h, place, at(h, place / 2));
		place /= 2;
	}
	put(h, place, node);
}

static void
sift_down(struct heap *h, struct heap_node *node, size_t place)
{
	for (;;) {
		size_t child = place * 2;

		if (child > h->count)
			break;
		if (child < h->count && at(h, child + 1)->key < at(h, child)->key)
			child++;
		if (at(h, child)->key >= node->key)
			break;
		put(h, place, at(h, child));
		place = child;
	}
	put(h, place, node);
}

void
heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
	ensure(node->place == 0);
	if (h->count == h->size) {
		h->size = MAX_OF(h->size * 2, (size_t)16);
		h->nodes =
			mem_realloc(h->nodes, mem_size_mul(h->size, sizeof(*h->nodes)));
	}
	node->key = key;
	h->count++;
	sift_up(h, node, h->count);
}

void
heap_remove(struct heap *h, struct heap_node *node)
{
	size_t place = node->place;
	struct heap_node *last;

	if (place == 0)
		return;
	ensure(place <= h->count && at(h, place) == node);
	last = at(h, h->count);
	h->count--;
	node->place = 0;
	if (last == node)
		return;
	if (place > 1 && at(h, place / 2)->key > last->key)
		sift_up(h, last, place);
	else
		sift_down(h, last, place);
}

struct heap_node *
heap_first(const struct heap *h)
{
	return h->count == 0 ? NULL : h->nodes[0];
}
