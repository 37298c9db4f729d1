/* SPDX-License-Identifier: Apache-2.0 */
/* A line of an alias, a .forward or an :include: file; and a job's result. */
#include "base/arena.h"
#include "base/panic.h"

#include "deliver/list.h"
#include "deliver/spec.h"

#include "fuzz.h"

static bool
look(void *arg, struct str entry)
{
	size_t *n = arg;

	ensure(entry.len > 0);
	return ++*n < DELIVER_TARGETS_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str input = str_from_mem(data, size);
	struct deliver_result result;
	struct deliver_spec spec;
	size_t n = 0;

	IGNORE(!list_parse(mem, input, look, &n));
	IGNORE(!deliver_spec_decode(input, &spec));
	deliver_result_decode(mem, input, &result);
	arena_free(&mem);
	return 0;
}
