/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROXY headers: what is taken is within the input and the same however it arrives.
 */
#include "base/arena.h"
#include "base/panic.h"

#include "mail/address.h"
#include "smtp/proxy_header.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str input = str_from_mem(data, size);
	struct proxy_header h;
	const char *why = NULL;

	switch (proxy_header_parse(mem, input, true, true, &h, &why)) {
	case PROXY_DONE: {
		struct proxy_header part;

		ensure(h.length > 0 && h.length <= size && h.length <= PROXY_V2_MAX);
		ensure(h.keeps_peer || (hostaddr_is_valid(h.client_address) &&
					hostaddr_is_valid(h.server_address)));
		ensure(proxy_header_parse(mem, str_head(input, h.length), true, true,
					  &part, &why) == PROXY_DONE &&
		       part.length == h.length);
		ensure(proxy_header_parse(mem, str_head(input, h.length - 1), true, true,
					  &part, &why) == PROXY_MORE);
		break;
	}
	case PROXY_MORE:
		ensure(size < PROXY_V2_MAX);
		break;
	case PROXY_BAD:
		ensure(why != NULL);
		break;
	}
	arena_free(&mem);
	return 0;
}
