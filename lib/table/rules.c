/* SPDX-License-Identifier: Apache-2.0 */
#include "table/rules_internal.h"

static bool
begins_with_word(struct str line, struct str word, struct str *rest_out)
{
	struct str rest;

	if (!str_istarts(line, word))
		return false;
	rest = str_skip(line, word.len);
	if (rest.len > 0 && char_is_alnum(rest.p[0]))
		return false;
	*rest_out = str_trim(rest);
	return true;
}

enum rule_word
rule_word_take(struct str line, struct str *rest_out)
{
	if (begins_with_word(line, STR("if"), rest_out))
		return RULE_IF;
	if (begins_with_word(line, STR("endif"), rest_out))
		return RULE_ENDIF;
	*rest_out = line;
	return RULE_PLAIN;
}
