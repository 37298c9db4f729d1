/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/environment.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"

enum { ENVIRONMENT_MAX = 65536 };

struct str
environment_list(struct arena *mem, struct str export_environment)
{
	struct buf *b = buf_new(mem, ENVIRONMENT_MAX);
	struct str rest = export_environment;
	struct str item;

	buf_add_c(b, "PATH=/usr/bin:/bin");
	buf_add_char(b, '\0');
	while (str_token(&rest, ", \t\r\n", &item)) {
		const char *value = getenv(str_c(mem, item));

		if (!str_contains(item, '=') && value == NULL)
			continue;
		buf_add(b, item);
		if (!str_contains(item, '='))
			buf_printf(b, "=%s", value);
		buf_add_char(b, '\0');
	}
	return buf_str(b);
}
