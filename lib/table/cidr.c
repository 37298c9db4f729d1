/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cidr: rules of address blocks, the first that holds decides.
 */
#include "base/buf.h"

#include "table/cidr_net.h"
#include "table/rules_internal.h"
#include "table/text_internal.h"

enum { RULES_MAX = 5000000 };

struct rule {
	struct cidr_net net;
	bool negated;
	bool is_if;
	size_t after;     /* is_if: the rule to go on with when it does not hold */
	struct str value; /* otherwise */
};

struct rules {
	struct rule *rule;
	size_t n;
};

/* A rule in the making; false if it is to be skipped, *why then says why. */
static bool
rule_parse(struct arena *mem, struct str text, bool is_if, struct rule *rule,
	   struct err *why)
{
	struct str pattern, value;

	rule->is_if = is_if;
	while (text.len > 0 && text.p[0] == '!') {
		rule->negated = !rule->negated;
		text = str_trim_left(str_skip(text, 1));
	}
	if (text.len == 0)
		return err_set(why, ERR_CONFIG, "no address pattern");
	/* The whole rest is the pattern of an "if". */
	pattern =
		is_if ? str_trim(text) : str_head(text, str_index_any(text, " \t\r\v\f"));
	value = str_trim(str_skip(text, pattern.len));
	if (!is_if && value.len == 0)
		return err_set(why, ERR_CONFIG, "no lookup result");
	if (!cidr_net_parse(pattern, &rule->net, why))
		return false;
	rule->value = str_dup(mem, value);
	return true;
}

static void
complain(struct table *t, const struct source_line *line, const char *what)
{
	table_warn(t, "cidr map %s, line %d: %s: skipping this rule", text_where(t),
		   line->first, what);
}

/* Handle "if" and "endif"; true if the line makes a rule. */
static bool
nest(struct table *t, struct rule_nesting *nesting, enum rule_word word,
     const struct source_line *line, struct rules *rules)
{
	switch (word) {
	case RULE_PLAIN:
		return true;
	case RULE_IF:
		if (nesting->depth < RULES_DEPTH_MAX)
			return true;
		complain(t, line, "too many IFs inside each other");
		return false;
	case RULE_ENDIF:
		if (nesting->depth == 0)
			complain(t, line, "ENDIF without IF");
		else
			rules->rule[nesting->open[--nesting->depth]].after = rules->n;
		return false;
	}
	return false;
}

static void
add_line(struct table *t, struct arena *mem, struct rule_nesting *nesting,
	 const struct source_line *line, struct rules *rules)
{
	struct str text;
	struct rule rule = {0};
	struct err why;
	enum rule_word word = rule_word_take(line->text, &text);

	if (!nest(t, nesting, word, line, rules))
		return;
	if (!rule_parse(mem, text, word == RULE_IF, &rule, &why)) {
		complain(t, line, why.text);
		return;
	}
	if (word == RULE_IF) {
		nesting->open_line[nesting->depth] = line->first;
		nesting->open[nesting->depth++] = rules->n;
	}
	rules->rule[rules->n++] = rule;
}

static bool
load(struct table *t, struct arena *mem, struct text_rules *lines, void **data_out,
     struct err *err)
{
	struct rules *rules = ARENA_NEW(mem, struct rules);
	struct rule_nesting nesting = {.depth = 0};
	struct source_line line;
	struct buf raw;

	buf_init(&raw, RULES_MAX * sizeof(struct rule));
	while (text_rules_next(lines, &line)) {
		/* The array grows as a buffer does and is copied at the end. */
		if (buf_reserve(&raw, sizeof(struct rule)) == NULL) {
			buf_release(&raw);
			return err_set(err, ERR_CONFIG, "%s: more than %d rules",
				       text_where(t), RULES_MAX);
		}
		rules->rule = (struct rule *)(void *)raw.p;
		add_line(t, mem, &nesting, &line, rules);
		raw.len = rules->n * sizeof(struct rule);
	}
	while (nesting.depth > 0) {
		nesting.depth--;
		rules->rule[nesting.open[nesting.depth]].after = rules->n;
		table_warn(t, "cidr map %s, line %d: IF has no matching ENDIF",
			   text_where(t), nesting.open_line[nesting.depth]);
	}
	rules->rule = arena_memdup(mem, raw.p, raw.len);
	buf_release(&raw);
	*data_out = rules;
	return true;
}

static bool
cidr_open(struct table *t, struct str name, struct err *err)
{
	return text_open(t, name, true, load, err);
}

static enum lookup
cidr_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	    struct err *err)
{
	const struct rules *rules;
	struct cidr_address address;
	void *data;

	if (!text_current(t, &data, err))
		return LOOKUP_FAILED;
	rules = data;
	if (!cidr_address_parse(key, &address))
		return LOOKUP_ABSENT;
	for (size_t i = 0; i < rules->n;) {
		const struct rule *rule = &rules->rule[i];
		/* A rule says nothing about addresses of the other family, not even
		 * with a "!". */
		bool holds = rule->net.address.len == address.len &&
			     cidr_net_has(&rule->net, &address) != rule->negated;

		if (holds && !rule->is_if) {
			*value_out = str_dup(mem, rule->value);
			return LOOKUP_FOUND;
		}
		i = rule->is_if && !holds ? rule->after : i + 1;
	}
	return LOOKUP_ABSENT;
}

const struct table_type table_type_cidr = {
	.name = "cidr",
	.is_pattern = true,
	.open = cidr_open,
	.lookup = cidr_lookup,
};
