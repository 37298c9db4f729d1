/* SPDX-License-Identifier: Apache-2.0 */
/* What the server of a table answers: the first byte says which kind. */
#include "fuzz.h"

#include <stdint.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"
#include "base/str.h"

#include "table/answers.h"
#include "table/wire.h"

enum { KINDS = 4, IN_MAX = 100000, LINE_MAX_BYTES = 200, DATA_MAX = 1000, LIMIT = 10 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	enum lookup result = LOOKUP_FAILED;
	struct str value = STR_EMPTY;
	struct wire w;
	struct err err;
	bool usable;

	if (size > 0) {
		wire_from_memory(&w, str_from_mem(data + 1, size - 1), IN_MAX);
		switch (data[0] % KINDS) {
		case 0:
			result = tcp_answer(&w, mem, &value, &err);
			break;
		case 1:
			result = socketmap_answer(&w, mem, &value, &usable, &err);
			break;
		case 2:
			result = memcache_answer(&w, mem, LINE_MAX_BYTES, DATA_MAX,
						 &value, &err);
			break;
		default:
			result = redis_answer(&w, mem, LIMIT, &value, &usable, &err);
			break;
		}
		ensure(result != LOOKUP_FOUND || value.len < size);
		wire_release(&w);
	}
	arena_free(&mem);
	return 0;
}
