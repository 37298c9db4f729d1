/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A priority queue: the element with the smallest key first, equal keys in no particular
 * order. Each element embeds a struct heap_node, which knows its place, so removal is
 * O(log n).
 */

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	size_t place; /* 1-based; 0 = in no heap */
};

struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t size;
};

void heap_init(struct heap *h);
void heap_release(struct heap *h); /* elements are not touched */

/* The node must be in no heap. */
void heap_add(struct heap *h, struct heap_node *node, int64_t key);
/* Nothing happens if the node is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* The smallest, left in place; NULL if empty. */
struct heap_node *heap_first(const struct heap *h);
