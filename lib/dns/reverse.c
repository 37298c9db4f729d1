/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/reverse.h"

#include <string.h>

#include "base/buf.h"
#include "base/macros.h"

#include "dns/dns.h"
#include "mail/address.h"

enum { V4_BYTES = 4 };

bool
dns_reverse_name(struct arena *mem, struct str address, struct str zone, struct str *out)
{
	unsigned char bytes[HOSTADDR_BYTES_MAX];
	size_t n = hostaddr_bytes(address, bytes);
	struct buf *name = buf_new(mem, DNS_NAME_MAX);

	if (n == 0)
		return false;
	for (size_t i = n; i-- > 0;) {
		if (n == V4_BYTES)
			buf_printf(name, "%u.", bytes[i]);
		else
			buf_printf(name, "%x.%x.", bytes[i] & 15u, bytes[i] >> 4);
	}
	if (zone.len == 0)
		zone = n == V4_BYTES ? STR("in-addr.arpa") : STR("ip6.arpa");
	buf_add(name, zone);
	*out = buf_str(name);
	return buf_ok(name);
}

bool
dns_answer_has_address(const struct dns_answer *answer, struct str address)
{
	unsigned char want[HOSTADDR_BYTES_MAX];
	unsigned char found[HOSTADDR_BYTES_MAX];
	size_t n = hostaddr_bytes(address, want);

	for (size_t i = 0; i < answer->n_records && n > 0; i++) {
		if (hostaddr_bytes(answer->records[i].text, found) == n &&
		    memcmp(found, want, n) == 0)
			return true;
	}
	return false;
}
