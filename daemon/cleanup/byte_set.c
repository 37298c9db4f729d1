/* SPDX-License-Identifier: Apache-2.0 */
#include "byte_set.h"

enum { OCTAL_DIGITS = 3, OCTAL = 8 };

/* What follows a backslash; a character without meaning there is itself. */
static unsigned char
take_escape(struct str *rest)
{
	static const struct str names = STR_INIT("abfnrtv");
	static const char values[] = "\a\b\f\n\r\t\v";
	unsigned value = 0;
	size_t n = 0;
	size_t at;

	while (n < OCTAL_DIGITS && n < rest->len && rest->p[n] >= '0' &&
	       rest->p[n] < '0' + OCTAL)
		value = value * OCTAL + (unsigned)(rest->p[n++] - '0');
	if (n == 0) {
		at = str_index(names, rest->p[0]);
		value = (unsigned char)(at < names.len ? values[at] : rest->p[0]);
		n = 1;
	}
	*rest = str_skip(*rest, n);
	return (unsigned char)value;
}

void
byte_set_parse(struct str text, struct byte_set *out)
{
	*out = (struct byte_set){.any = text.len > 0};
	while (text.len > 0) {
		unsigned char c = (unsigned char)text.p[0];

		text = str_skip(text, 1);
		if (c == '\\' && text.len > 0)
			c = take_escape(&text);
		out->has[c] = true;
	}
}

size_t
byte_set_find(const struct byte_set *set, struct str text)
{
	size_t i = 0;

	while (i < text.len && !set->has[(unsigned char)text.p[i]])
		i++;
	return i;
}
