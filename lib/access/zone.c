/* SPDX-License-Identifier: Apache-2.0 */
#include "access/zone.h"

#include "base/macros.h"

#include "mail/address.h"

enum { BYTE_VALUES = 256 };

static bool
bad_filter(struct str text, struct str rest, const char *what, struct err *err)
{
	size_t done = text.len - rest.len;

	return err_set(err, ERR_CONFIG, "%s at \"" PRI_STR ">" PRI_STR "<\"", what,
		       STR_ARG(str_head(text, done)), STR_ARG(rest));
}

/* A number of at most three digits off *rest. */
static bool
take_number(struct str *rest, unsigned *out)
{
	size_t digits = 0;
	unsigned value = 0;

	while (digits < rest->len && digits < 4 && char_is_digit(rest->p[digits]))
		value = value * 10 + (unsigned)(rest->p[digits++] - '0');
	if (digits == 0 || value >= BYTE_VALUES)
		return false;
	*rest = str_skip(*rest, digits);
	*out = value;
	return true;
}

static void
allow(unsigned char *set, unsigned low, unsigned high)
{
	for (unsigned i = low; i <= high; i++)
		set[i / 8] |= (unsigned char)(1u << i % 8);
}

/* "1;3..5]" */
static bool
take_set(struct str text, struct str *rest, unsigned char *set, struct err *err)
{
	for (;;) {
		unsigned low;
		unsigned high;

		if (!take_number(rest, &low))
			return bad_filter(text, *rest, "need decimal number 0..255", err);
		high = low;
		if (str_starts(*rest, STR(".."))) {
			*rest = str_skip(*rest, 2);
			if (!take_number(rest, &high) || high < low)
				return bad_filter(text, *rest, "bad range", err);
		}
		allow(set, low, high);
		if (rest->len == 0 || (rest->p[0] != ';' && rest->p[0] != ']'))
			return bad_filter(text, *rest, "need \";\" or \"]\"", err);
		*rest = str_skip(*rest, 1);
		if (rest->p[-1] == ']')
			return true;
	}
}

static bool
parse_filter(struct str text, struct zone *zone, struct err *err)
{
	struct str rest = text;
	unsigned value;

	for (int i = 0; i < 4; i++) {
		if (i > 0) {
			if (rest.len == 0 || rest.p[0] != '.')
				return bad_filter(text, rest, "need \".\"", err);
			rest = str_skip(rest, 1);
		}
		if (rest.len > 0 && rest.p[0] == '[') {
			rest = str_skip(rest, 1);
			if (!take_set(text, &rest, zone->allowed[i], err))
				return false;
		} else if (take_number(&rest, &value)) {
			allow(zone->allowed[i], value, value);
		} else {
			return bad_filter(text, rest,
					  "need decimal number 0..255 or \"[\"", err);
		}
	}
	return rest.len == 0 || bad_filter(text, rest, "garbage after pattern", err);
}

bool
zone_parse(struct str text, struct zone *out, struct err *err)
{
	struct zone zone = {.text = text, .name = text};
	struct str filter;

	if (str_split(text, '=', &zone.name, &filter)) {
		zone.has_filter = true;
		if (!parse_filter(filter, &zone, err))
			return false;
	}
	if (zone.name.len == 0)
		return err_set(err, ERR_CONFIG, "no domain name in \"" PRI_STR "\"",
			       STR_ARG(text));
	*out = zone;
	return true;
}

bool
zone_accepts(const struct zone *zone, struct str answer)
{
	unsigned char bytes[HOSTADDR_BYTES_MAX];

	if (hostaddr_bytes(answer, bytes) != 4)
		return false;
	for (size_t i = 0; zone->has_filter && i < 4; i++) {
		if ((zone->allowed[i][bytes[i] / 8] & 1u << bytes[i] % 8) == 0)
			return false;
	}
	return true;
}
