/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

size_t
mem_size_add(size_t a, size_t b)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		panic("size overflow: %zu + %zu", a, b);
	return sum;
}

size_t
mem_size_mul(size_t a, size_t b)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		panic("size overflow: %zu * %zu", a, b);
	return product;
}

void *
mem_alloc(size_t size)
{
	void *p = calloc(1, size == 0 ? 1 : size);

	if (p == NULL)
		panic("out of memory: %zu bytes", size);
	return p;
}

void *
mem_alloc_array(size_t count, size_t size)
{
	return mem_alloc(mem_size_mul(count, size));
}

void *
mem_realloc(void *p, size_t size)
{
	void *q = realloc(p, size == 0 ? 1 : size);

	if (q == NULL)
		panic("out of memory: %zu bytes", size);
	return q;
}

char *
mem_strdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(mem_alloc(size), s, size);
}

void
mem_free(void *p)
{
	free(p);
}
