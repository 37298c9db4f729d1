/* SPDX-License-Identifier: Apache-2.0 */
#include "rewrite/masquerade.h"

#include "base/arena.h"
#include "base/macros.h"

#include "mail/address.h"
#include "table/match.h"

#include "rewrite/rules.h"

/* The domain itself, or one below it. */
static bool
is_within(struct str domain, struct str above)
{
	if (str_ieq(domain, above))
		return true;
	return domain.len > above.len && domain.p[domain.len - above.len - 1] == '.' &&
	       str_ieq(str_skip(domain, domain.len - above.len), above);
}

/* "!" may be said twice, as in Postfix. */
static bool
take_negation(struct str *word)
{
	bool negated = false;

	while (str_starts(*word, STR("!"))) {
		negated = !negated;
		*word = str_skip(*word, 1);
	}
	return negated;
}

bool
masquerade_address(struct arena *mem, const struct rewrite_rules *rules,
		   enum canonical_kind kind, struct str address, struct str *out,
		   struct str *rule_out, struct err *err)
{
	struct str list = rules->config.masquerade_domains;
	struct str rule = STR_EMPTY;
	struct str result = address;
	struct str local;
	struct str domain;
	struct str word;
	struct err why;
	enum match_result excepted;

	if (list.len > 0 && canonical_class_has(rules->config.masquerade_classes, kind) &&
	    address_split(address, &local, &domain)) {
		excepted = match_find(rules->masquerade_exceptions,
				      address_quote_local(mem, local), NULL, &why);
		if (excepted == MATCH_FAILED)
			return err_set(err, ERR_TEMP,
				       "masquerade_exceptions map lookup problem: %s",
				       why.text);
		while (excepted == MATCH_NO && rule.len == 0 &&
		       str_token(&list, ", \t\r\n", &word)) {
			bool negated = take_negation(&word);

			if (word.len == 0 || !is_within(domain, word))
				continue;
			rule = word;
			if (!negated && domain.len > word.len)
				result = address_join(mem, local, word);
		}
	}
	*out = result;
	if (rule_out != NULL)
		*rule_out = rule;
	return true;
}
