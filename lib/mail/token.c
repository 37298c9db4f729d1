/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/token.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/panic.h"

/* What ends an atom and is a token by itself, unless it starts a string, a literal or a
 * comment. `|%!` are not special in RFC 5322 but routing operators. */
static const char specials[] = "|%!()<>@,;:\\\".[]";

/* ---- lists ---- */

struct token *
token_new(struct arena *mem, enum token_kind kind, struct str text)
{
	struct token *t = ARENA_NEW(mem, struct token);

	t->kind = kind;
	t->text = text;
	return t;
}

struct token *
token_new_op(struct arena *mem, char op)
{
	struct token *t = token_new(mem, TOKEN_OPERATOR, STR_EMPTY);

	t->op = op;
	return t;
}

void
token_insert_before(struct token_list *list, struct token *at, struct token *t)
{
	t->next = at;
	t->prev = at == NULL ? list->last : at->prev;
	if (t->prev == NULL)
		list->first = t;
	else
		t->prev->next = t;
	if (at == NULL)
		list->last = t;
	else
		at->prev = t;
}

void
token_append(struct token_list *list, struct token *t)
{
	token_insert_before(list, NULL, t);
}

void
token_prepend(struct token_list *list, struct token *t)
{
	token_insert_before(list, list->first, t);
}

void
token_remove(struct token_list *list, struct token *t)
{
	if (t->prev == NULL)
		list->first = t->next;
	else
		t->prev->next = t->next;
	if (t->next == NULL)
		list->last = t->prev;
	else
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

struct token_list
token_cut(struct token_list *list, struct token *t)
{
	struct token_list tail = {t, list->last};

	list->last = t->prev;
	if (t->prev == NULL)
		list->first = NULL;
	else
		t->prev->next = NULL;
	t->prev = NULL;
	return tail;
}

void
token_join(struct token_list *list, struct token_list more)
{
	if (more.first == NULL)
		return;
	if (list->last == NULL) {
		*list = more;
		return;
	}
	list->last->next = more.first;
	more.first->prev = list->last;
	list->last = more.last;
}

bool
token_is(const struct token *t, char op)
{
	return t != NULL && t->kind == TOKEN_OPERATOR && t->op == op;
}

struct token *
token_find_op(struct token_list list, char op)
{
	struct token *t = list.first;

	while (t != NULL && !token_is(t, op))
		t = t->next;
	return t;
}

struct token *
token_rfind_op(struct token_list list, char op)
{
	struct token *t = list.last;

	while (t != NULL && !token_is(t, op))
		t = t->prev;
	return t;
}

struct token *
token_next_address(struct token_list list, struct token *t)
{
	t = t == NULL ? list.first : t->next;
	while (t != NULL && t->kind != TOKEN_ADDRESS)
		t = t->next;
	return t;
}

/* ---- text to tokens ---- */

/* Inside a token each blank is a space: what folded the line is no part of the text. */
static char
plain_space(char c)
{
	return c == '\t' || c == '\r' || c == '\n' ? ' ' : c;
}

/* From after the opening byte up to close, which is consumed; backslashes removed. */
static struct str
scan_until(struct arena *mem, struct str *rest, char close)
{
	size_t end = 0;
	struct buf *out;

	while (end < rest->len && rest->p[end] != close)
		end += rest->p[end] == '\\' ? 2 : 1;
	end = MIN_OF(end, rest->len);
	out = buf_new(mem, end);
	for (size_t i = 0; i < end; i++) {
		if (rest->p[i] == '\\' && i + 1 < end)
			i++;
		buf_add_char(out, plain_space(rest->p[i]));
	}
	*rest = str_skip(*rest, end + 1);
	return buf_str(out);
}

/* The whole comment with its parentheses; nested ones are part of it. One that is not
 * closed ends with the text and is closed here, so that what follows stays outside. */
static struct str
scan_comment(struct arena *mem, struct str *rest)
{
	struct str comment;
	size_t depth = 1;
	size_t i = 1;
	bool ends_in_escape = false; /* a backslash that would escape what we add */

	while (i < rest->len && depth > 0) {
		char c = rest->p[i++];

		if (c == '\\') {
			ends_in_escape = i == rest->len;
			i = MIN_OF(i + 1, rest->len);
		} else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
	comment = str_head(*rest, i);
	*rest = str_skip(*rest, i);
	if (ends_in_escape)
		comment.len--;
	if (depth > 0) {
		struct buf *out = buf_new(mem, comment.len + depth + 1);

		buf_add(out, comment);
		while (depth-- > 0)
			buf_add_char(out, ')');
		comment = buf_str(out);
	}
	return comment;
}

static bool
is_atom_char(char c)
{
	return !char_is_space(c) && (c == '\0' || strchr(specials, c) == NULL);
}

static bool
needs_quotes(char c)
{
	return !is_atom_char(c) || c == '\\' || (unsigned char)c < 32 || c == 127;
}

/* A backslash outside quotes takes the next byte as it is: the word then needs quotes if
 * that is not one of a plain word. */
static struct token *
scan_atom(struct arena *mem, struct str *rest)
{
	struct buf *out = buf_new(mem, rest->len);
	enum token_kind kind = TOKEN_ATOM;
	size_t i = 0;

	while (i < rest->len && (rest->p[i] == '\\' || is_atom_char(rest->p[i]))) {
		if (rest->p[i] == '\\' && ++i == rest->len)
			break;
		if (needs_quotes(rest->p[i]))
			kind = TOKEN_QUOTED;
		buf_add_char(out, plain_space(rest->p[i++]));
	}
	*rest = str_skip(*rest, i);
	return token_new(mem, kind, str_dup(mem, buf_str(out)));
}

static struct token *
scan_token(struct arena *mem, struct str *rest)
{
	char c = rest->p[0];

	if (c == '(')
		return token_new(mem, TOKEN_COMMENT, scan_comment(mem, rest));
	if (c == '\\' || is_atom_char(c))
		return scan_atom(mem, rest);
	*rest = str_skip(*rest, 1);
	if (c == '"')
		return token_new(mem, TOKEN_QUOTED, scan_until(mem, rest, '"'));
	if (c == '[')
		return token_new(mem, TOKEN_LITERAL, scan_until(mem, rest, ']'));
	return token_new_op(mem, c);
}

struct token_list
token_scan(struct arena *mem, struct str text, size_t limit, bool *cut_out)
{
	struct token_list list = {NULL, NULL};
	size_t count = 0;
	bool cut = false;

	for (;;) {
		while (text.len > 0 && char_is_space(text.p[0]))
			text = str_skip(text, 1);
		if (text.len == 0)
			break;
		if (count++ == limit) {
			cut = true;
			break;
		}
		token_append(&list, scan_token(mem, &text));
	}
	if (cut_out != NULL)
		*cut_out = cut;
	return list;
}

/* ---- tokens to addresses ---- */

/*
 * The list is walked from its end: only so is it known, when a `:` is met, whether a `;`
 * after it makes it a group. `flat` is what is left to read, `done` is the finished tree
 * (it grows at its front), `words` the address being collected, `aside` the comments met
 * in it, which follow it.
 */
struct grouping {
	struct arena *mem;
	struct token_list flat;
	struct token_list done;
	struct token_list words;
	struct token_list aside;
	bool in_group;
	bool word_fits; /* a word may join what was collected */
};

static struct token *
take_last(struct grouping *g)
{
	struct token *t = g->flat.last;

	token_remove(&g->flat, t);
	return t;
}

/* Close the address that was collected; if it had anything in it and something other
 * than a separator follows, a comma is missing. */
static void
finish_address(struct grouping *g, bool comma)
{
	struct token_list comments = g->aside;
	struct token *t;

	g->aside = (struct token_list){NULL, NULL};
	token_join(&comments, g->done);
	g->done = comments;
	if (g->words.first == NULL)
		return;
	t = token_new(g->mem, TOKEN_ADDRESS, STR_EMPTY);
	t->inner = g->words;
	g->words = (struct token_list){NULL, NULL};
	token_prepend(&g->done, t);
	if (comma)
		token_prepend(&g->done, token_new_op(g->mem, ','));
}

/* After the `>` was taken: the address inside, then the words of the name in front. */
static void
group_route(struct grouping *g, struct token *close)
{
	struct token *t;

	finish_address(g, true);
	token_prepend(&g->done, close);
	while (g->flat.last != NULL && !token_is(g->flat.last, '<')) {
		t = take_last(g);
		token_prepend(t->kind == TOKEN_COMMENT ? &g->aside : &g->words, t);
	}
	/* An empty address is listed as one, so that `<>` keeps its place. */
	finish_address(g, false);
	while (g->flat.last != NULL) {
		t = g->flat.last;
		if (t->kind == TOKEN_OPERATOR && strchr(">;,:", t->op) != NULL)
			break;
		token_prepend(&g->done, take_last(g));
	}
	g->word_fits = true;
}

static void
group_operator(struct grouping *g, struct token *t)
{
	if (t->op == ';') {
		finish_address(g, true);
		t->kind = TOKEN_GROUP_END;
		g->in_group = true;
		token_prepend(&g->done, t);
	} else if (t->op == ':' && g->in_group) {
		finish_address(g, false);
		t->kind = TOKEN_GROUP_START;
		g->in_group = false;
		token_prepend(&g->done, t);
		while (g->flat.last != NULL && !token_is(g->flat.last, ','))
			token_prepend(&g->done, take_last(g));
	} else if (t->op == ',') {
		finish_address(g, false);
		token_prepend(&g->done, t);
	} else {
		token_prepend(&g->words, t);
	}
	g->word_fits = true;
}

struct token_list
token_parse(struct arena *mem, struct str text, size_t limit, bool *cut_out)
{
	struct grouping g = {
		.mem = mem,
		.flat = token_scan(mem, text, limit, cut_out),
		.word_fits = true,
	};

	while (g.flat.last != NULL) {
		struct token *t = take_last(&g);

		if (t->kind == TOKEN_COMMENT) {
			token_prepend(&g.aside, t);
		} else if (token_is(t, '>')) {
			group_route(&g, t);
		} else if (t->kind == TOKEN_OPERATOR) {
			group_operator(&g, t);
		} else {
			if (!g.word_fits)
				finish_address(&g, true);
			token_prepend(&g.words, t);
			g.word_fits = false;
		}
	}
	finish_address(&g, false);
	return g.done;
}

/* ---- tokens to text ---- */

struct printer {
	struct buf *out;
	enum token_style style;
};

static void
add_escaped(struct buf *out, struct str text, const char *escaped)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\0' && strchr(escaped, text.p[i]) != NULL)
			buf_add_char(out, '\\');
		buf_add_char(out, text.p[i]);
	}
}

/* Within an address only words that stand side by side need a blank between them. */
static bool
is_operand(const struct token *t)
{
	return t->kind == TOKEN_ATOM || t->kind == TOKEN_QUOTED ||
	       t->kind == TOKEN_LITERAL || t->kind == TOKEN_COMMENT ||
	       t->kind == TOKEN_ADDRESS;
}

static void
print_one(struct printer *p, const struct token *t)
{
	bool internal = p->style == TOKEN_INTERNAL;

	switch (t->kind) {
	case TOKEN_ATOM:
	case TOKEN_COMMENT:
		buf_add(p->out, t->text);
		break;
	case TOKEN_QUOTED:
		if (internal) {
			buf_add(p->out, t->text);
			break;
		}
		buf_add_char(p->out, '"');
		add_escaped(p->out, t->text, "\"\\\r\n");
		buf_add_char(p->out, '"');
		break;
	case TOKEN_LITERAL:
		buf_add_char(p->out, '[');
		if (internal)
			buf_add(p->out, t->text);
		else
			add_escaped(p->out, t->text, "]\\\r\n");
		buf_add_char(p->out, ']');
		break;
	case TOKEN_OPERATOR:
		buf_add_char(p->out, t->op);
		break;
	case TOKEN_GROUP_START:
		buf_add_char(p->out, ':');
		break;
	case TOKEN_GROUP_END:
		buf_add_char(p->out, ';');
		break;
	case TOKEN_ADDRESS:
		panic("an address inside an address");
	}
}

static void
print_gap(struct printer *p, const struct token *t, bool inside)
{
	const struct token *next = t->next;

	if (token_is(t, ',') && !inside)
		buf_add_char(p->out, p->style == TOKEN_HEADER_LINES ? '\n' : ' ');
	else if (next == NULL || inside)
		return;
	else if (t->kind == TOKEN_GROUP_START || token_is(next, '<') ||
		 (is_operand(t) && is_operand(next)))
		buf_add_char(p->out, ' ');
}

struct str
token_print(struct arena *mem, struct token_list list, enum token_style style)
{
	struct printer p = {buf_new(mem, SIZE_MAX / 2), style};

	for (struct token *t = list.first; t != NULL; t = t->next) {
		if (t->kind == TOKEN_ADDRESS) {
			for (struct token *i = t->inner.first; i != NULL; i = i->next) {
				print_one(&p, i);
				if (i->next != NULL && is_operand(i) &&
				    is_operand(i->next))
					buf_add_char(p.out, ' ');
			}
		} else {
			print_one(&p, t);
		}
		print_gap(&p, t, false);
	}
	return buf_str(p.out);
}
