/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maillog parser on any bytes: every view of the result must lie within the line.
 */
#include "base/macros.h"
#include "base/panic.h"
#include "base/str.h"

#include "../../tool/hikyaku/explain_reply.h"
#include "../../tool/hikyaku/log_line.h"
#include "fuzz.h"

enum { REFERENCE = 1795521600 };

static void
check(struct str line, struct str part)
{
	ensure(part.len == 0 ||
	       (part.p >= line.p && part.p + part.len <= line.p + line.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = str_from_mem(data, size);
	struct log_line l;

	check(line, log_quick_id(line));
	check(line, log_quick_link(line));
	if (!log_line_parse(line, REFERENCE, &l))
		return 0;
	const struct str parts[] = {
		l.host,        l.tag,    l.daemon,  l.id,          l.text,
		l.action,      l.stage,  l.client,  l.from,        l.to,
		l.orig_to,     l.uid,    l.orig_id, l.orig_client, l.sasl_user,
		l.sasl_method, l.proto,  l.helo,    l.message_id,  l.relay,
		l.dsn,         l.status, l.reason,  l.tls,         l.link,
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		check(line, parts[i]);
	ensure(l.kind < LOG_KINDS && log_kind_name(l.kind) != NULL);
	explain_line(&l);
	return 0;
}
