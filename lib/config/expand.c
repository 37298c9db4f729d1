/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive reader that expands while it reads. Text outside of references is copied;
 * `cond()` reads what is inside ${ }, `branches()` what follows ? and :. A branch that is
 * not chosen is not expanded, so its names may be anything.
 */
#include "config/expand.h"

#include <string.h>

#include "config/value.h"

struct expander {
	expand_lookup_fn *lookup;
	void *closure;
	void (*seen)(void *closure, struct str name); /* expand_names() only */
	unsigned depth;
	size_t steps; /* references read: bounds the work of a value that doubles */
	struct err *err;
};

enum { STEPS_MAX = 100000 };

static bool text_expand(struct expander *x, struct str text, struct buf *out);

static bool
is_name_char(char c)
{
	return char_is_alnum(c) || c == '_';
}

static size_t
name_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && is_name_char(s.p[n]))
		n++;
	return n;
}

static size_t
blank_len(struct str s)
{
	size_t n = 0;

	while (n < s.len && char_is_space(s.p[n]))
		n++;
	return n;
}

/* Where a syntax error is: from the last thing that was read to the end. */
static bool
fail_at(struct expander *x, const char *what, const char *last, struct str at)
{
	struct str left = str_trim_right(str_from_mem(last, (size_t)(at.p - last)));

	return err_set(x->err, ERR_CONFIG, "%s at: \"..." PRI_STR ">>>" PRI_STR "\"",
		       what, STR_ARG(left), STR_ARG(at));
}

static bool
name_expand(struct expander *x, struct str name, struct buf *out)
{
	struct str value = STR_EMPTY;
	bool ok = true;

	if (x->seen != NULL) {
		x->seen(x->closure, name);
		return true;
	}
	if (x->depth > EXPAND_DEPTH_MAX)
		return err_set(x->err, ERR_CONFIG,
			       "unreasonable macro call nesting: \"" PRI_STR "\"",
			       STR_ARG(name));
	switch (x->lookup(x->closure, name, &value)) {
	case EXPAND_UNKNOWN:
		break;
	case EXPAND_LITERAL:
		buf_add(out, value);
		break;
	case EXPAND_RECURSE:
		x->depth++;
		ok = text_expand(x, value, out);
		x->depth--;
		break;
	}
	return ok;
}

enum operator{ OP_EQ, OP_NE, OP_LT, OP_LE, OP_GE, OP_GT };

/* Longest first, so that < is not found in <=. */
static const struct {
	const char *text;
	enum operator op;
	bool level;
} operators[] = {
	{"==level", OP_EQ, true}, {"!=level", OP_NE, true}, {"<=level", OP_LE, true},
	{">=level", OP_GE, true}, {"<level", OP_LT, true},  {">level", OP_GT, true},
	{"==", OP_EQ, false},     {"!=", OP_NE, false},     {"<=", OP_LE, false},
	{">=", OP_GE, false},     {"<", OP_LT, false},      {">", OP_GT, false},
};

static bool
op_holds(enum operator op, int way)
{
	switch (op) {
	case OP_EQ:
		return way == 0;
	case OP_NE:
		return way != 0;
	case OP_LT:
		return way < 0;
	case OP_LE:
		return way <= 0;
	case OP_GE:
		return way >= 0;
	case OP_GT:
		return way > 0;
	}
	return false;
}

/* MAJOR[.MINOR[.PATCH]] as three numbers. */
static bool
level_parse(struct str s, int64_t part[3])
{
	for (int i = 0; i < 3; i++) {
		size_t dot = str_index(s, '.');

		part[i] = 0;
		if (i > 0 && s.p == NULL)
			continue;
		if (!str_to_i64(str_head(s, dot), 0, 32767, &part[i]))
			return false;
		s = dot < s.len ? str_skip(s, dot + 1) : (struct str){NULL, 0};
	}
	return s.p == NULL;
}

bool
expand_level_compare(struct str a, struct str b, int *out, struct err *err)
{
	int64_t x[3], y[3];
	int way = 0;

	if (!level_parse(a, x))
		return err_set(err, ERR_CONFIG,
			       "malformed compatibility level syntax: \"" PRI_STR "\"",
			       STR_ARG(a));
	if (!level_parse(b, y))
		return err_set(err, ERR_CONFIG,
			       "malformed compatibility level syntax: \"" PRI_STR "\"",
			       STR_ARG(b));
	for (int i = 0; i < 3 && way == 0; i++)
		way = (x[i] > y[i]) - (x[i] < y[i]);
	*out = way;
	return true;
}

static bool
all_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!char_is_digit(s.p[i]))
			return false;
	}
	return s.len > 0;
}

static bool
operands_compare(struct expander *x, struct str a, struct str b, bool level, int *way)
{
	if (level)
		return expand_level_compare(a, b, way, x->err);
	if (all_digits(a) && all_digits(b)) {
		int64_t m, n;

		if (!str_to_i64(a, 0, INT64_MAX, &m) || !str_to_i64(b, 0, INT64_MAX, &n))
			return err_set(x->err, ERR_CONFIG,
				       "number too large in a comparison");
		*way = (m > n) - (m < n);
	} else {
		*way = str_cmp(a, b);
	}
	return true;
}

/* Take a { } group off *rest, and blanks around it; *last is where it began. */
static bool
take_braced(struct expander *x, struct str *rest, struct str *inner, const char **last)
{
	size_t len;

	*rest = str_skip(*rest, blank_len(*rest));
	len = list_brace_len(*rest);
	if (len == 0) {
		return rest->len > 0 && *rest->p == '{'
			       ? err_set(x->err, ERR_CONFIG,
					 "unbalanced {} in attribute expression: "
					 "\"" PRI_STR "\"",
					 STR_ARG(*rest))
			       : fail_at(x, "\"{\" expected", *last, *rest);
	}
	*inner = str_skip(str_head(*rest, len - 1), 1);
	*last = inner->p;
	*rest = str_skip(*rest, len);
	*rest = str_skip(*rest, blank_len(*rest));
	return true;
}

/* {a} OP {b}; rest is then at ? or : or the end. */
static bool
comparison(struct expander *x, struct str *rest, const char **last, bool *holds)
{
	struct str a, b;
	struct buf left, right;
	size_t i;
	int way = 0;
	bool ok;

	if (!take_braced(x, rest, &a, last))
		return false;
	for (i = 0; i < ARRAY_LEN(operators); i++) {
		if (str_starts(*rest, str_from(operators[i].text)))
			break;
	}
	if (i == ARRAY_LEN(operators))
		return fail_at(x,
			       "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or "
			       "\">\" expected",
			       *last, *rest);
	*last = rest->p;
	*rest = str_skip(*rest, strlen(operators[i].text));
	if (!take_braced(x, rest, &b, last))
		return false;
	*last = b.p + b.len;
	buf_init(&left, EXPAND_BYTES_MAX);
	buf_init(&right, EXPAND_BYTES_MAX);
	ok = text_expand(x, a, &left) && text_expand(x, b, &right);
	if (ok && x->seen == NULL)
		ok = operands_compare(x, buf_str(&left), buf_str(&right),
				      operators[i].level, &way);
	buf_release(&left);
	buf_release(&right);
	*holds = op_holds(operators[i].op, way);
	return ok;
}

/* Text after ? or :. Braced it ends at its brace, else at the end of all. */
static bool
take_branch(struct expander *x, struct str *rest, struct str *branch, const char **last)
{
	size_t blanks = blank_len(*rest);

	if (blanks < rest->len && rest->p[blanks] == '{')
		return take_braced(x, rest, branch, last);
	*branch = *rest;
	*rest = str_skip(*rest, rest->len);
	return true;
}

static bool
branches(struct expander *x, struct str rest, const char *last, bool holds,
	 struct buf *out)
{
	struct str yes = STR_EMPTY, no = STR_EMPTY;

	if (*rest.p == '?') {
		rest = str_skip(rest, 1);
		if (!take_branch(x, &rest, &yes, &last))
			return false;
		if (rest.len > 0 && *rest.p != ':')
			return fail_at(x, "\":\" expected", last, rest);
	}
	if (rest.len > 0) {
		rest = str_skip(rest, 1);
		if (!take_branch(x, &rest, &no, &last))
			return false;
	}
	if (rest.len > 0)
		return fail_at(x, "unexpected input", last, rest);
	if (x->seen != NULL)
		return text_expand(x, yes, out) && text_expand(x, no, out);
	return text_expand(x, holds ? yes : no, out);
}

/* Whether the name has a value that is not empty, before any expansion of it: that is
 * Postfix's rule, so with x = $nothing, ${x?yes} is yes. */
static bool
name_is_set(struct expander *x, struct str name)
{
	struct str value = STR_EMPTY;

	if (x->seen != NULL) {
		x->seen(x->closure, name);
		return false;
	}
	return x->lookup(x->closure, name, &value) != EXPAND_UNKNOWN && value.len > 0;
}

/* What is inside ${ }. whole is for messages. */
static bool
reference(struct expander *x, struct str inner, struct str whole, struct buf *out)
{
	struct str rest = str_skip(inner, blank_len(inner)), name;
	const char *last = rest.p;
	bool holds = false;

	if (rest.len > 0 && *rest.p == '{') {
		if (!comparison(x, &rest, &last, &holds))
			return false;
		if (rest.len == 0) {
			buf_add_c(out, holds ? "true" : "");
			return true;
		}
		if (*rest.p != '?' && *rest.p != ':')
			return fail_at(x, "\"?\" or \":\" expected", last, rest);
		return branches(x, rest, last, holds, out);
	}
	if (rest.len == 0)
		return err_set(x->err, ERR_CONFIG, "empty macro name: \"" PRI_STR "\"",
			       STR_ARG(whole));
	name = str_head(rest, name_len(rest));
	rest = str_skip(rest, name.len);
	if (rest.len == blank_len(rest) && name.len > 0)
		return name_expand(x, name, out);
	inner = rest;
	rest = str_skip(rest, blank_len(rest));
	if (name.len == 0 || (*rest.p != '?' && *rest.p != ':'))
		return fail_at(x, "attribute name syntax error", last, inner);
	return branches(x, rest, last, name_is_set(x, name), out);
}

/* Length of ${...} or $(...) without the $, nested ones of the same kind counted. */
static size_t
group_len(struct str s)
{
	char open = *s.p, shut = open == '{' ? '}' : ')';
	size_t depth = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == open)
			depth++;
		else if (s.p[i] == shut && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* rest begins after a $; take what belongs to it. */
static bool
dollar(struct expander *x, struct str *rest, struct str whole, struct buf *out)
{
	size_t len;
	struct str s = *rest;

	if (s.len > 0 && *s.p == '$') {
		buf_add_char(out, '$');
		*rest = str_skip(s, 1);
		return true;
	}
	if (++x->steps > STEPS_MAX)
		return err_set(x->err, ERR_CONFIG, "more than %d macro references",
			       STEPS_MAX);
	if (s.len > 0 && (*s.p == '{' || *s.p == '(')) {
		bool ok;

		len = group_len(s);
		if (len == 0)
			return err_set(x->err, ERR_CONFIG,
				       "truncated macro reference: \"" PRI_STR "\"",
				       STR_ARG(whole));
		*rest = str_skip(s, len);
		if (x->depth > EXPAND_DEPTH_MAX)
			return err_set(x->err, ERR_CONFIG,
				       "unreasonable macro call nesting: \"" PRI_STR "\"",
				       STR_ARG(s));
		x->depth++;
		ok = reference(x, str_skip(str_head(s, len - 1), 1), whole, out);
		x->depth--;
		return ok;
	}
	len = name_len(s);
	if (len == 0)
		return err_set(x->err, ERR_CONFIG, "empty macro name: \"" PRI_STR "\"",
			       STR_ARG(whole));
	*rest = str_skip(s, len);
	return name_expand(x, str_head(s, len), out);
}

static bool
text_expand(struct expander *x, struct str text, struct buf *out)
{
	struct str rest = text;

	while (rest.len > 0) {
		size_t at = str_index(rest, '$');

		buf_add(out, str_head(rest, at));
		rest = str_skip(rest, at);
		if (rest.len == 0)
			break;
		rest = str_skip(rest, 1);
		if (!dollar(x, &rest, text, out))
			return false;
		if (!buf_ok(out))
			break;
	}
	if (!buf_ok(out))
		return err_set(x->err, ERR_CONFIG, "value larger than %d bytes",
			       EXPAND_BYTES_MAX);
	return true;
}

bool
expand_text(struct str text, expand_lookup_fn *lookup, void *closure, struct buf *out,
	    struct err *err)
{
	struct expander x = {.lookup = lookup, .closure = closure, .err = err};

	return text_expand(&x, text, out);
}

static enum expand_found
nothing_known(void *closure UNUSED, struct str name UNUSED, struct str *value UNUSED)
{
	return EXPAND_UNKNOWN;
}

void
expand_names(struct str text, void (*fn)(void *closure, struct str name), void *closure)
{
	struct err err;
	struct expander x = {
		.lookup = nothing_known, .seen = fn, .closure = closure, .err = &err};
	struct buf out;

	buf_init(&out, EXPAND_BYTES_MAX);
	IGNORE(!text_expand(&x, text, &out));
	buf_release(&out);
}
