/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks are cut from areas of AREA_STACKS each. Below each lies a guard page: since
 * Linux 6.13 a mark in the page table that costs no mapping (MADV_GUARD_INSTALL), before
 * that a protected page, which splits the mapping; so on old kernels only the first
 * GUARDS_MAX stacks get one, for a process may have 65,530 mappings.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"

#include "fiber/fiber_internal.h"

enum { AREA_STACKS = 64, GUARDS_MAX = 16384, WARM_MAX = 64, GUARD_INSTALL = 102 };

struct area {
	struct area *older;
	char *memory;
	size_t size;
};

/* A stack in the pool keeps the link in its own topmost bytes. */
struct free_stack {
	struct free_stack *next;
};

struct stack_pool {
	struct area *areas;
	struct free_stack *free;
	size_t bytes; /* usable, whole pages */
	size_t page;
	size_t n_guards;
	size_t n_warm; /* in the pool with memory of their own */
	size_t next;   /* stacks of the newest area that were never used */
	bool marks_work;
};

struct stack_pool *
stack_pool_new(size_t bytes)
{
	struct stack_pool *p = mem_alloc(sizeof(*p));

	p->page = (size_t)sysconf(_SC_PAGESIZE);
	p->bytes = (bytes + p->page - 1) / p->page * p->page;
	p->next = AREA_STACKS;
	p->marks_work = true;
	return p;
}

void
stack_pool_free(struct stack_pool **pool)
{
	struct stack_pool *p = *pool;

	*pool = NULL;
	while (p != NULL && p->areas != NULL) {
		struct area *a = p->areas;

		p->areas = a->older;
		munmap(a->memory, a->size);
		mem_free(a);
	}
	mem_free(p);
}

size_t
stack_pool_bytes(const struct stack_pool *pool)
{
	return pool->bytes;
}

static bool
area_add(struct stack_pool *p)
{
	size_t size = mem_size_mul(AREA_STACKS, p->bytes + p->page);
	void *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	struct area *a;

	if (memory == MAP_FAILED)
		return false;
	a = mem_alloc(sizeof(*a));
	a->memory = memory;
	a->size = size;
	a->older = p->areas;
	p->areas = a;
	p->next = 0;
	return true;
}

static void
guard(struct stack_pool *p, char *page)
{
	if (p->marks_work && madvise(page, p->page, GUARD_INSTALL) == 0)
		return;
	p->marks_work = false;
	if (p->n_guards < GUARDS_MAX && mprotect(page, p->page, PROT_NONE) == 0)
		p->n_guards++;
}

static struct free_stack *
link_of(struct stack_pool *p, char *stack)
{
	return (struct free_stack *)(void *)(stack + p->bytes -
					     sizeof(struct free_stack));
}

char *
stack_get(struct stack_pool *p)
{
	char *at;

	if (p->free != NULL) {
		struct free_stack *f = p->free;

		p->free = f->next;
		p->n_warm -= p->n_warm > 0;
		return (char *)f + sizeof(*f) - p->bytes;
	}
	if (p->next == AREA_STACKS && !area_add(p))
		return NULL;
	at = p->areas->memory + p->next++ * (p->bytes + p->page);
	guard(p, at);
	return at + p->page;
}

void
stack_put(struct stack_pool *p, char *stack)
{
	struct free_stack *f = link_of(p, stack);

	/* The topmost page stays: it holds the link. */
	if (p->n_warm < WARM_MAX)
		p->n_warm++;
	else
		madvise(stack, p->bytes - p->page, MADV_DONTNEED);
	f->next = p->free;
	p->free = f;
}
