/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include <stdio.h>

enum { COLUMN_LIMIT = 80, INDENT = 4 };

static void
out(struct str s)
{
	fwrite(s.p, 1, s.len, stdout);
}

void
print_setting(struct str name, struct str value, bool fold, bool no_name, bool no_value)
{
	struct str word;
	size_t column = 0;

	if (!no_name) {
		out(name);
		column = name.len;
		if (!no_value) {
			out(STR(" ="));
			column += 2;
		}
	}
	while (!no_value && str_token(&value, " \t\r\n\v\f", &word)) {
		if (fold && column > INDENT && column + 1 + word.len > COLUMN_LIMIT) {
			out(STR("\n    "));
			column = INDENT;
		} else if (column > 0) {
			out(STR(" "));
			column++;
		}
		out(word);
		column += word.len;
	}
	out(STR("\n"));
}
