/* SPDX-License-Identifier: Apache-2.0 */
#include "table/template.h"

#include <string.h>

bool
template_is_valid(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '%')
			continue;
		if (++i == text.len || text.p[i] == '\0' ||
		    strchr("%sudSUD123456789", text.p[i]) == NULL)
			return false;
	}
	return true;
}

static bool
user_of(struct str s, struct str *user_out)
{
	*user_out = str_head(s, str_rindex(s, '@'));
	return user_out->len > 0;
}

static bool
domain_of(struct str s, struct str *domain_out)
{
	*domain_out = str_skip(s, str_rindex(s, '@') + 1);
	return domain_out->len > 0;
}

/* The n-th label from the right. */
static bool
label_of(struct str s, int n, struct str *label_out)
{
	struct str rest;

	if (!domain_of(s, &rest))
		return false;
	while (n > 1) {
		size_t dot = str_rindex(rest, '.');

		if (dot == rest.len)
			return false;
		rest = str_head(rest, dot);
		n--;
	}
	*label_out =
		str_skip(rest, str_contains(rest, '.') ? str_rindex(rest, '.') + 1 : 0);
	return true;
}

static bool
part_for(char letter, struct str subject, struct str key, struct str *part_out)
{
	switch (letter) {
	case 's':
		*part_out = subject;
		return true;
	case 'u':
		return user_of(subject, part_out);
	case 'd':
		return domain_of(subject, part_out);
	case 'S':
		*part_out = key;
		return true;
	case 'U':
		return user_of(key, part_out);
	case 'D':
		return domain_of(key, part_out);
	default:
		return label_of(key, letter - '0', part_out);
	}
}

bool
template_expand(struct str text, struct str subject, struct str key,
		template_quote_fn quote, void *arg, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		struct str part;

		if (text.p[i] != '%' || i + 1 == text.len) {
			buf_add_char(out, text.p[i]);
			continue;
		}
		if (text.p[++i] == '%') {
			buf_add_char(out, '%');
			continue;
		}
		if (!part_for(text.p[i], subject, key, &part))
			return false;
		if (quote != NULL)
			quote(arg, out, part);
		else
			buf_add(out, part);
	}
	return true;
}
