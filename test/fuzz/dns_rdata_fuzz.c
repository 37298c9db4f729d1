/* SPDX-License-Identifier: Apache-2.0 */
/* Record data of any type: the first byte chooses the type. */
#include "base/arena.h"
#include "base/panic.h"

#include "dns/rdata.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct dns_record record = {.preference = -1};

	if (size > 0 && dns_rdata_parse(mem, (enum dns_type)data[0],
					str_from_mem(data + 1, size - 1), &record)) {
		ensure(dns_type_is_known(record.type));
		ensure(record.preference >= 0 && record.preference <= 65535);
		/* No text is longer than what it was made from, but for addresses. */
		ensure(record.text.len < size || record.type == DNS_TYPE_A ||
		       record.type == DNS_TYPE_AAAA);
		if (record.type == DNS_TYPE_MX || record.type == DNS_TYPE_SRV)
			ensure(str_is_ascii(record.text) &&
			       record.text.len <= DNS_NAME_MAX);
	} else {
		ensure(record.preference == -1);
	}
	arena_free(&mem);
	return 0;
}
