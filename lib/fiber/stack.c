/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/stack_internal.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "fiber/context_internal.h"

#if defined(FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* Linux 6.13; older kernels answer EINVAL. */
#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102
#endif

struct stack_area {
	struct stack_area *next;
	char *map;
	size_t map_bytes;
	struct stack stacks[STACK_AREA_COUNT];
};

void
stack_pool_init(struct stack_pool *pool, size_t stack_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*pool = (struct stack_pool){.page_bytes = page};
	pool->stack_bytes = mem_size_mul((stack_bytes + page - 1) / page, page);
}

static void
valgrind_forget(struct stack *s)
{
#if defined(VALGRIND_STACK_DEREGISTER)
	VALGRIND_STACK_DEREGISTER(s->valgrind_id);
#else
	(void)s;
#endif
}

static void
valgrind_tell(struct stack *s)
{
#if defined(VALGRIND_STACK_REGISTER)
	s->valgrind_id = VALGRIND_STACK_REGISTER(s->base, s->base + s->bytes);
#else
	(void)s;
#endif
}

void
stack_pool_release(struct stack_pool *pool)
{
	while (pool->areas != NULL) {
		struct stack_area *a = pool->areas;

		pool->areas = a->next;
		for (size_t i = 0; i < STACK_AREA_COUNT; i++)
			valgrind_forget(&a->stacks[i]);
		munmap(a->map, a->map_bytes);
		mem_free(a);
	}
	*pool = (struct stack_pool){.stack_bytes = pool->stack_bytes,
				    .page_bytes = pool->page_bytes};
}

/* A page that nobody may touch; first of an area: in any case. */
static bool
guard(struct stack_pool *pool, char *page, bool first)
{
	if (!pool->no_cheap_guard) {
		if (madvise(page, pool->page_bytes, MADV_GUARD_INSTALL) == 0)
			return true;
		pool->no_cheap_guard = true;
	}
	if (!first && pool->guarded >= STACK_GUARD_MAX)
		return true;
	if (mprotect(page, pool->page_bytes, PROT_NONE) < 0)
		return false;
	pool->guarded++;
	return true;
}

static bool
area_guards(struct stack_pool *pool, struct stack_area *a, size_t step)
{
	for (size_t i = 0; i < STACK_AREA_COUNT; i++) {
		if (!guard(pool, a->map + i * step, i == 0))
			return false;
	}
	return true;
}

static bool
area_add(struct stack_pool *pool)
{
	size_t step = pool->stack_bytes + pool->page_bytes;
	size_t bytes = mem_size_mul(step, STACK_AREA_COUNT);
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	struct stack_area *a;

	if (map == MAP_FAILED)
		return false;
	/* Kernels built without huge pages refuse; then there is nothing to turn off. */
	IGNORE(madvise(map, bytes, MADV_NOHUGEPAGE) < 0);
	a = mem_alloc(sizeof(*a));
	a->map = map;
	a->map_bytes = bytes;
	if (!area_guards(pool, a, step)) {
		munmap(map, bytes);
		mem_free(a);
		return false;
	}
	a->next = pool->areas;
	pool->areas = a;
	for (size_t i = STACK_AREA_COUNT; i-- > 0;) {
		struct stack *s = &a->stacks[i];

		s->base = map + i * step + pool->page_bytes;
		s->bytes = pool->stack_bytes;
		valgrind_tell(s);
		s->next = pool->cold;
		pool->cold = s;
	}
	return true;
}

struct stack *
stack_get(struct stack_pool *pool)
{
	struct stack **from = pool->hot != NULL ? &pool->hot : &pool->cold;
	struct stack *s;

	if (*from == NULL && !area_add(pool))
		return NULL;
	s = *from;
	*from = s->next;
	if (from == &pool->hot)
		pool->hot_count--;
	s->next = NULL;
	return s;
}

void
stack_put(struct stack_pool *pool, struct stack *s)
{
#if defined(FIBER_ASAN)
	/* The frames that never returned left their red zones behind. */
	ASAN_UNPOISON_MEMORY_REGION(s->base, s->bytes);
#endif
	if (pool->hot_count < STACK_HOT_MAX) {
		s->next = pool->hot;
		pool->hot = s;
		pool->hot_count++;
		return;
	}
	IGNORE(madvise(s->base, s->bytes, MADV_DONTNEED) < 0);
	s->next = pool->cold;
	pool->cold = s;
}

void
stack_trim(struct stack_pool *pool, struct stack *s, const void *below)
{
	uintptr_t page_mask = ~(uintptr_t)(pool->page_bytes - 1);
	/* The red zone of leaf functions and the caller's own frame stay. */
	uintptr_t end = ((uintptr_t)below - 512) & page_mask;

	if (end > (uintptr_t)s->base && end <= (uintptr_t)s->base + s->bytes)
		IGNORE(madvise(s->base, end - (uintptr_t)s->base, MADV_DONTNEED) < 0);
}
