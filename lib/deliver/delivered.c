/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/delivered.h"

#include "mail/address.h"
#include "queue/file.h"

enum { LINES_MAX = 1000 };

bool
delivered_before(struct arena *mem, int message, int64_t content_offset,
		 struct str address)
{
	static const struct str name = STR_INIT("Delivered-To:");
	struct queue_content content;
	struct str line;
	struct err err;

	queue_content_init(mem, &content, message, content_offset);
	for (size_t i = 0; i < LINES_MAX; i++) {
		enum queue_content_result got = queue_content_next(&content, &line, &err);

		if ((got != QUEUE_CONTENT_LINE && got != QUEUE_CONTENT_PART) ||
		    line.len == 0)
			return false;
		if (str_istarts(line, name) &&
		    str_ieq(address_unquote(mem, str_trim(str_skip(line, name.len))),
			    address))
			return true;
	}
	return false;
}
