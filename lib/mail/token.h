/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Address text of a header or a command as a tree of tokens (RFC 5322 section 3.4, and
 * the older forms that are still met: groups, source routes, `%`, `!` and `|` as
 * operators).
 *
 * Nothing that is not understood is thrown away and no input is refused: what does not
 * look like an address stays as words between addresses, missing commas are added,
 * unfinished strings and comments end with the text. A comment inside an address moves
 * behind it. Tokens live in the arena; the tree may be edited freely.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

enum token_kind {
	TOKEN_ATOM,
	TOKEN_QUOTED,      /* text without the quotes and backslashes */
	TOKEN_LITERAL,     /* text without the brackets and backslashes */
	TOKEN_COMMENT,     /* text as found, with its parentheses */
	TOKEN_OPERATOR,    /* one byte: `<>@,;:.%!|` or a stray bracket */
	TOKEN_GROUP_START, /* the `:` of `name: a, b;` */
	TOKEN_GROUP_END,   /* its `;` */
	TOKEN_ADDRESS,     /* the tokens of one address are in inner */
};

struct token;

struct token_list {
	struct token *first;
	struct token *last;
};

struct token {
	struct token *next;
	struct token *prev;
	enum token_kind kind;
	char op;
	struct str text;
	struct token_list inner;
};

/* header_address_token_limit */
enum { TOKEN_LIMIT_DEFAULT = 10240 };

/* A flat list. At most limit tokens; the rest of the text is dropped and *cut_out (may be
 * NULL) set. */
struct token_list token_scan(struct arena *mem, struct str text, size_t limit,
			     bool *cut_out);

/* Addresses grouped under TOKEN_ADDRESS, everything else between them. */
struct token_list token_parse(struct arena *mem, struct str text, size_t limit,
			      bool *cut_out);

/* Back to text: quoted as in a header, or the internal form. With one_per_line a comma
 * is followed by a newline instead of a space. */
enum token_style {
	TOKEN_HEADER,
	TOKEN_HEADER_LINES,
	TOKEN_INTERNAL,
};
struct str token_print(struct arena *mem, struct token_list list, enum token_style style);

/* The next TOKEN_ADDRESS after t (NULL: the first of the list), or NULL. */
struct token *token_next_address(struct token_list list, struct token *t);

/* Editing. */
bool token_is(const struct token *t, char op); /* t may be NULL */
struct token *token_find_op(struct token_list list, char op);
struct token *token_rfind_op(struct token_list list, char op);
struct token *token_new(struct arena *mem, enum token_kind kind, struct str text);
struct token *token_new_op(struct arena *mem, char op);
void token_append(struct token_list *list, struct token *t);
void token_prepend(struct token_list *list, struct token *t);
void token_insert_before(struct token_list *list, struct token *at, struct token *t);
void token_remove(struct token_list *list, struct token *t);
/* Cut the list before t: the part before stays, the part from t on is returned. */
struct token_list token_cut(struct token_list *list, struct token *t);
/* Append all of more. */
void token_join(struct token_list *list, struct token_list more);
