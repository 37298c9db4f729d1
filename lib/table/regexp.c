/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regexp: rules of POSIX regular expressions, the first that holds decides; $1 in the
 * result stands for what the first group matched.
 */
#include <regex.h>
#include <string.h>

#include "base/buf.h"

#include "table/rules_internal.h"
#include "table/text_internal.h"

enum { RULES_MAX = 200000, GROUPS_MAX = 100 };

struct rule {
	regex_t pattern;
	bool negated;
	bool is_if;
	bool has_groups;
	size_t after;     /* is_if: the rule to go on with when it does not hold */
	struct str value; /* otherwise; with $1 and $$ */
};

struct rules {
	struct rule **rule;
	size_t n;
	struct rule_nesting nesting;
};

/* One piece of a result: text, or the number of a group. */
struct piece {
	struct str text;
	int group; /* -1: text */
};

enum piece_kind { PIECE_OK, PIECE_END, PIECE_BAD };

/* The name in $name, ${name} or $(name) at the beginning of *rest (after the $). */
static bool
take_name(struct str *rest, struct str *name_out)
{
	char open = rest->len > 0 ? rest->p[0] : '\0';
	size_t n;

	if (open == '{' || open == '(') {
		n = str_index(*rest, open == '{' ? '}' : ')');
		if (n == rest->len)
			return false;
		*name_out = str_head(str_skip(*rest, 1), n - 1);
		*rest = str_skip(*rest, n + 1);
		return true;
	}
	for (n = 0; n < rest->len && (char_is_alnum(rest->p[n]) || rest->p[n] == '_');)
		n++;
	*name_out = str_head(*rest, n);
	*rest = str_skip(*rest, n);
	return n > 0;
}

static enum piece_kind
take_piece(struct str *rest, struct piece *out)
{
	struct str name;
	int64_t group;

	if (rest->len == 0)
		return PIECE_END;
	out->group = -1;
	if (rest->p[0] != '$') {
		out->text = str_head(*rest, str_index(*rest, '$'));
		*rest = str_skip(*rest, out->text.len);
		return PIECE_OK;
	}
	*rest = str_skip(*rest, 1);
	if (str_starts(*rest, STR("$"))) {
		out->text = str_head(*rest, 1);
		*rest = str_skip(*rest, 1);
		return PIECE_OK;
	}
	if (!take_name(rest, &name) || !str_to_i64(name, 0, GROUPS_MAX - 1, &group))
		return PIECE_BAD;
	out->group = (int)group;
	return PIECE_OK;
}

/* Look at all groups that the result names. */
static bool
check_value(const struct table *t, struct rule *rule, size_t n_groups, struct err *why)
{
	struct str rest = rule->value;
	struct piece piece;
	enum piece_kind kind;

	while ((kind = take_piece(&rest, &piece)) == PIECE_OK) {
		if (piece.group < 0)
			continue;
		if ((t->flags & TABLE_NO_REGSUB) != 0)
			return err_set(why, ERR_CONFIG,
				       "regular expression substitution is not allowed: "
				       "skipping this rule");
		if (rule->negated)
			return err_set(why, ERR_CONFIG,
				       "$number found in negative match replacement "
				       "text: skipping this rule");
		if ((size_t)piece.group > n_groups || piece.group == 0)
			return err_set(why, ERR_CONFIG,
				       "out of range replacement index \"%d\": skipping "
				       "this rule",
				       piece.group);
		rule->has_groups = true;
	}
	if (kind == PIECE_BAD)
		return err_set(why, ERR_CONFIG,
			       "bad syntax in replacement text: skipping this rule");
	return true;
}

/* "/pattern/flags": what is between the delimiters, and the rest. */
static bool
take_pattern(struct str *rest, struct str *pattern_out, struct err *why)
{
	char delimiter = rest->len > 0 ? rest->p[0] : '\0';
	size_t i;

	for (i = 1; i < rest->len && rest->p[i] != delimiter; i++)
		if (rest->p[i] == '\\')
			i++;
	if (i >= rest->len)
		return err_set(why, ERR_CONFIG,
			       "no closing regexp delimiter \"%c\": skipping this rule",
			       delimiter);
	*pattern_out = str_head(str_skip(*rest, 1), i - 1);
	*rest = str_skip(*rest, i + 1);
	return true;
}

static bool
take_flags(struct str *rest, int *flags, struct err *why)
{
	while (rest->len > 0 && !char_is_space(rest->p[0]) && rest->p[0] != '!') {
		switch (rest->p[0]) {
		case 'i':
			*flags ^= REG_ICASE;
			break;
		case 'm':
			*flags ^= REG_NEWLINE;
			break;
		case 'x':
			*flags ^= REG_EXTENDED;
			break;
		default:
			return err_set(why, ERR_CONFIG,
				       "unknown regexp option \"%c\": skipping this rule",
				       rest->p[0]);
		}
		*rest = str_skip(*rest, 1);
	}
	return true;
}

static void
free_pattern(void *p)
{
	regfree(p);
}

static bool
compile(struct arena *mem, struct rule *rule, struct str pattern, int flags,
	struct err *why)
{
	int rc = regcomp(&rule->pattern, str_c(mem, pattern), flags);
	char text[200];

	if (rc != 0) {
		regerror(rc, &rule->pattern, text, sizeof(text));
		return err_set(why, ERR_CONFIG, "%s", text);
	}
	arena_defer(mem, free_pattern, &rule->pattern);
	return true;
}

/* On failure *why is the whole complaint. */
static bool
rule_parse(struct table *t, struct arena *mem, struct str text, struct rule *rule,
	   const struct source_line *line, struct err *why)
{
	struct str pattern;
	int flags = REG_EXTENDED | REG_ICASE;

	while (text.len > 0 && text.p[0] == '!') {
		rule->negated = !rule->negated;
		text = str_trim_left(str_skip(text, 1));
	}
	if (text.len == 0 || char_is_alnum(text.p[0]))
		return err_set(why, ERR_CONFIG, "ignoring unrecognized request");
	if (!take_pattern(&text, &pattern, why) || !take_flags(&text, &flags, why))
		return false;
	rule->value = str_dup(mem, str_trim(text));
	if (rule->is_if && rule->value.len > 0)
		table_warn(t,
			   "regexp map %s, line %d: ignoring extra text after \"IF\" "
			   "statement: \"" PRI_STR "\"",
			   text_where(t), line->first, STR_ARG(rule->value));
	if (!rule->is_if && rule->value.len == 0)
		table_warn(t,
			   "regexp map %s, line %d: no replacement text: using empty "
			   "string",
			   text_where(t), line->first);
	if (!compile(mem, rule, pattern, flags, why))
		return false;
	return rule->is_if || check_value(t, rule, rule->pattern.re_nsub, why);
}

static void
complain(struct table *t, const struct source_line *line, const char *what)
{
	table_warn(t, "regexp map %s, line %d: %s", text_where(t), line->first, what);
}

static void
add_line(struct table *t, struct arena *mem, const struct source_line *line,
	 struct rules *rules)
{
	struct rule_nesting *nesting = &rules->nesting;
	struct str text;
	struct rule *rule;
	struct err why;
	enum rule_word word = rule_word_take(line->text, &text);

	if (word == RULE_ENDIF) {
		if (nesting->depth == 0)
			complain(t, line, "ignoring ENDIF without matching IF");
		else
			rules->rule[nesting->open[--nesting->depth]]->after = rules->n;
		return;
	}
	rule = ARENA_NEW(mem, struct rule);
	rule->is_if = word == RULE_IF;
	if (rule->is_if && nesting->depth == RULES_DEPTH_MAX) {
		complain(t, line, "too many IFs inside each other: skipping this rule");
		return;
	}
	if (!rule_parse(t, mem, text, rule, line, &why)) {
		complain(t, line, why.text);
		return;
	}
	if (rule->is_if) {
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
	struct source_line line;
	struct buf raw;

	buf_init(&raw, RULES_MAX * sizeof(struct rule *));
	while (text_rules_next(lines, &line)) {
		if (buf_reserve(&raw, sizeof(struct rule *)) == NULL) {
			buf_release(&raw);
			return err_set(err, ERR_CONFIG, "%s: more than %d rules",
				       text_where(t), RULES_MAX);
		}
		rules->rule = (struct rule **)(void *)raw.p;
		add_line(t, mem, &line, rules);
		raw.len = rules->n * sizeof(struct rule *);
	}
	while (rules->nesting.depth > 0) {
		size_t open = --rules->nesting.depth;

		rules->rule[rules->nesting.open[open]]->after = rules->n;
		table_warn(t, "regexp map %s, line %d: IF has no matching ENDIF",
			   text_where(t), rules->nesting.open_line[open]);
	}
	rules->rule = arena_memdup(mem, raw.p, raw.len);
	buf_release(&raw);
	*data_out = rules;
	return true;
}

static bool
regexp_open(struct table *t, struct str name, struct err *err)
{
	return text_open(t, name, true, load, err);
}

/* The result with its groups filled in. */
static bool
fill_in(struct arena *mem, const struct rule *rule, struct str key,
	const regmatch_t *groups, struct str *value_out, struct err *err)
{
	struct buf *value = buf_new(mem, TABLE_VALUE_MAX);
	struct str rest = rule->value;
	struct piece piece = {0};

	while (take_piece(&rest, &piece) == PIECE_OK) {
		const regmatch_t *g = &groups[MAX_OF(piece.group, 0)];

		if (piece.group < 0)
			buf_add(value, piece.text);
		else if (g->rm_so >= 0)
			buf_add(value, str_head(str_skip(key, (size_t)g->rm_so),
						(size_t)(g->rm_eo - g->rm_so)));
	}
	if (!buf_ok(value))
		return err_set(err, ERR_PERM, "the result is longer than %d bytes",
			       TABLE_VALUE_MAX);
	*value_out = buf_str(value);
	return true;
}

static enum lookup
regexp_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
	      struct err *err)
{
	regmatch_t groups[GROUPS_MAX];
	const struct rules *rules;
	void *data;

	if (!text_current(t, &data, err))
		return LOOKUP_FAILED;
	rules = data;
	for (size_t i = 0; i < rules->n;) {
		const struct rule *rule = rules->rule[i];
		size_t n = rule->has_groups ? GROUPS_MAX : 0;
		int rc = regexec(&rule->pattern, key.p, n, groups, 0);
		bool holds = (rc == 0) != rule->negated;

		if (rc != 0 && rc != REG_NOMATCH) {
			err_set(err, ERR_TEMP, "no memory for this expression");
			return LOOKUP_FAILED;
		}
		if (holds && !rule->is_if)
			return fill_in(mem, rule, key, groups, value_out, err)
				       ? LOOKUP_FOUND
				       : LOOKUP_FAILED;
		i = rule->is_if && !holds ? rule->after : i + 1;
	}
	return LOOKUP_ABSENT;
}

const struct table_type table_type_regexp = {
	.name = "regexp",
	.is_pattern = true,
	.open = regexp_open,
	.lookup = regexp_lookup,
};
