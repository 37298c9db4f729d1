/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/receive.h"

#include "base/macros.h"

#include "queue/cleanup_status.h"

static const struct {
	struct str word;
	enum receive_override bit;
	unsigned flags; /* of cleanup, that it takes away */
} rows[] = {
	{STR_INIT("no_unknown_recipient_checks"), RECEIVE_ANY_RECIPIENT, 0},
	{STR_INIT("no_address_mappings"), RECEIVE_AS_ADDRESSED,
	 CLEANUP_FLAG_BCC_OK | CLEANUP_FLAG_MAP_OK},
	{STR_INIT("no_header_body_checks"), RECEIVE_NO_CHECKS, CLEANUP_FLAG_FILTER},
	{STR_INIT("no_milters"), RECEIVE_NO_MILTERS, CLEANUP_FLAG_MILTER},
};

bool
receive_override_parse(struct str text, unsigned *mask_out, struct err *err)
{
	unsigned mask = 0;
	struct str rest = text;
	struct str word;

	while (str_token(&rest, ", \t\r\n", &word)) {
		size_t i = 0;

		while (i < ARRAY_LEN(rows) && !str_ieq(word, rows[i].word))
			i++;
		if (i == ARRAY_LEN(rows))
			return err_set(err, ERR_CONFIG,
				       "unknown receive_override_options value \"" PRI_STR
				       "\" in \"" PRI_STR "\"",
				       STR_ARG(word), STR_ARG(text));
		mask |= rows[i].bit;
	}
	*mask_out = mask;
	return true;
}

unsigned
receive_override_flags(unsigned mask, unsigned flags)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((mask & rows[i].bit) != 0)
			flags &= ~rows[i].flags;
	}
	return flags;
}
