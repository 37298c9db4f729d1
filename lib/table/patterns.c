/* SPDX-License-Identifier: Apache-2.0 */
#include "table/patterns_internal.h"

#include <string.h>

#include "base/buf.h"

#include "table/rules_internal.h"
#include "table/text_internal.h"

enum { RULES_MAX = 200000 };

struct rule {
	void *pattern; /* the engine's */
	int line;
	bool negated;
	bool is_if;
	bool has_groups;
	size_t after;     /* is_if: the rule to go on with when it does not hold */
	struct str value; /* otherwise; with $1 and $$ */
};

struct rules {
	const struct pattern_engine *engine;
	void *state; /* the engine's */
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
	out->text = STR_EMPTY;
	if (!take_name(rest, &name))
		return PIECE_BAD;
	out->text = name;
	if (!str_to_i64(name, 0, PATTERN_GROUPS_MAX - 1, &group))
		return PIECE_BAD;
	out->group = (int)group;
	return PIECE_OK;
}

/* Look at all groups that the result names; *most_out is the highest. */
static bool
check_value(struct table *t, struct rule *rule, size_t *most_out, struct err *why)
{
	struct str rest = rule->value;
	struct piece piece;
	enum piece_kind kind;

	*most_out = 0;
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
		if (piece.group == 0)
			return err_set(why, ERR_CONFIG,
				       "out of range replacement index \"0\": skipping "
				       "this rule");
		*most_out = MAX_OF(*most_out, (size_t)piece.group);
		rule->has_groups = true;
	}
	if (kind == PIECE_BAD) {
		if (piece.text.len > 0)
			table_warn(t,
				   "%s map %s, line %d: non-numeric replacement index "
				   "\"" PRI_STR "\"",
				   t->type->name, text_where(t), rule->line,
				   STR_ARG(piece.text));
		return err_set(why, ERR_CONFIG,
			       "bad replacement syntax: skipping this rule");
	}
	return true;
}

/* "/pattern/flags": what is between the delimiters, and the rest. */
static bool
take_pattern(struct str *rest, struct str *pattern_out, const char *skipping,
	     struct err *why)
{
	char delimiter = rest->len > 0 ? rest->p[0] : '\0';
	size_t i;

	for (i = 1; i < rest->len && rest->p[i] != delimiter; i++)
		if (rest->p[i] == '\\')
			i++;
	if (i >= rest->len)
		return err_set(why, ERR_CONFIG,
			       "no closing regexp delimiter \"%c\": %s this rule",
			       delimiter, skipping);
	*pattern_out = str_head(str_skip(*rest, 1), i - 1);
	*rest = str_skip(*rest, i + 1);
	return true;
}

static bool
take_flags(struct table *t, const struct pattern_engine *engine, int line,
	   struct str *rest, int *flags, struct err *why)
{
	while (rest->len > 0 && !char_is_space(rest->p[0]) && rest->p[0] != '!') {
		const struct pattern_flag *f = engine->flags;

		while (f->letter != '\0' && f->letter != rest->p[0])
			f++;
		if (f->letter == '\0')
			return err_set(why, ERR_CONFIG,
				       "unknown regexp option \"%c\": skipping this rule",
				       rest->p[0]);
		if (f->bit == 0)
			table_warn(t,
				   "%s map %s, line %d: ignoring obsolete regexp option "
				   "\"%c\"",
				   t->type->name, text_where(t), line, f->letter);
		*flags ^= f->bit;
		*rest = str_skip(*rest, 1);
	}
	return true;
}

/* On failure *why is the whole complaint. */
static bool
rule_parse(struct table *t, struct arena *mem, const struct rules *rules, struct str text,
	   struct rule *rule, struct err *why)
{
	const struct pattern_engine *engine = rules->engine;
	struct str pattern;
	int flags = engine->default_flags;
	size_t n_groups;
	size_t most = 0;

	while (text.len > 0 && text.p[0] == '!') {
		rule->negated = !rule->negated;
		text = str_trim_left(str_skip(text, 1));
	}
	if (text.len == 0 || char_is_alnum(text.p[0]))
		return err_set(why, ERR_CONFIG, "ignoring unrecognized request");
	if (!take_pattern(&text, &pattern, engine->skipping, why) ||
	    !take_flags(t, engine, rule->line, &text, &flags, why))
		return false;
	rule->value = str_dup(mem, str_trim(text));
	if (rule->is_if && rule->value.len > 0) {
		table_warn(t,
			   "%s map %s, line %d: ignoring extra text after IF "
			   "statement: \"" PRI_STR "\"",
			   t->type->name, text_where(t), rule->line,
			   STR_ARG(rule->value));
		table_warn(t,
			   "%s map %s, line %d: do not prepend whitespace to statements "
			   "between IF and ENDIF",
			   t->type->name, text_where(t), rule->line);
	}
	if (!rule->is_if && rule->value.len == 0)
		table_warn(t,
			   "%s map %s, line %d: no replacement text: using empty string",
			   t->type->name, text_where(t), rule->line);
	if (!rule->is_if && !check_value(t, rule, &most, why))
		return false;
	if (!engine->compile(rules->state, mem, pattern, flags, &rule->pattern, &n_groups,
			     why))
		return false;
	if (most > n_groups)
		return err_set(
			why, ERR_CONFIG,
			"out of range replacement index \"%zu\": skipping this rule",
			most);
	return true;
}

static void
complain(struct table *t, const struct source_line *line, const char *what)
{
	table_warn(t, "%s map %s, line %d: %s", t->type->name, text_where(t), line->first,
		   what);
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
		if (text.len > 0)
			complain(t, line, "ignoring extra text after ENDIF");
		if (nesting->depth == 0)
			complain(t, line, "ignoring ENDIF without matching IF");
		else
			rules->rule[nesting->open[--nesting->depth]]->after = rules->n;
		return;
	}
	rule = ARENA_NEW(mem, struct rule);
	rule->is_if = word == RULE_IF;
	rule->line = line->first;
	if (rule->is_if && nesting->depth == RULES_DEPTH_MAX) {
		complain(t, line, "too many IFs inside each other: skipping this rule");
		return;
	}
	if (!rule_parse(t, mem, rules, text, rule, &why)) {
		complain(t, line, why.text);
		return;
	}
	if (rule->is_if) {
		nesting->open_line[nesting->depth] = line->first;
		nesting->open[nesting->depth++] = rules->n;
	}
	rules->rule[rules->n++] = rule;
}

bool
patterns_load(struct table *t, const struct pattern_engine *engine, struct arena *mem,
	      struct text_rules *lines, void **data_out, struct err *err)
{
	struct rules *rules = ARENA_NEW(mem, struct rules);
	struct source_line line;
	struct buf raw;

	rules->engine = engine;
	if (!engine->start(t, mem, &rules->state, err))
		return false;
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
		table_warn(t, "%s map %s, line %d: IF has no matching ENDIF",
			   t->type->name, text_where(t), rules->nesting.open_line[open]);
	}
	rules->rule = arena_memdup(mem, raw.p, raw.len);
	buf_release(&raw);
	*data_out = rules;
	return true;
}

/* The result with its groups filled in. */
static bool
fill_in(struct arena *mem, const struct rule *rule, struct str key,
	const struct span *groups, struct str *value_out, struct err *err)
{
	struct buf *value = buf_new(mem, TABLE_VALUE_MAX);
	struct str rest = rule->value;
	struct piece piece = {0};

	while (take_piece(&rest, &piece) == PIECE_OK) {
		const struct span *g = &groups[MAX_OF(piece.group, 0)];

		buf_add(value, piece.group < 0
				       ? piece.text
				       : str_head(str_skip(key, g->begin), g->length));
	}
	if (!buf_ok(value))
		return err_set(err, ERR_PERM, "the result is longer than %d bytes",
			       TABLE_VALUE_MAX);
	*value_out = buf_str(value);
	return true;
}

enum lookup
patterns_lookup(struct table *t, struct arena *mem, struct str key, struct str *value_out,
		struct err *err)
{
	struct span groups[PATTERN_GROUPS_MAX] = {{0, 0}};
	const struct rules *rules;
	void *data;

	if (!text_current(t, &data, err))
		return LOOKUP_FAILED;
	rules = data;
	for (size_t i = 0; i < rules->n;) {
		const struct rule *rule = rules->rule[i];
		bool holds;

		switch (rules->engine->match(rules->state, rule->pattern, key,
					     rule->has_groups ? groups : NULL, err)) {
		case PATTERN_MATCHES:
			holds = !rule->negated;
			break;
		case PATTERN_DIFFERS:
			holds = rule->negated;
			break;
		case PATTERN_FAILED:
		default:
			err_prefix(err, "%s, line %d", text_where(t), rule->line);
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
