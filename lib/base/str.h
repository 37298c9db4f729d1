/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A view of bytes that somebody else owns. May contain NUL; everything that came from
 * outside is a str. Case folding is ASCII only. Print with PRI_STR and STR_ARG(s).
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct arena;

struct str {
	const char *p;
	size_t len;
};

/* A str of a string literal, also in static initialisers of struct str members. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_INIT(literal)                                                                \
	{                                                                                \
		(literal), sizeof(literal) - 1                                           \
	}
#define STR_EMPTY ((struct str){"", 0})

#define PRI_STR    "%.*s"
#define STR_ARG(s) (int)(s).len, (s).p

/* NULL gives the empty str. */
struct str str_from(const char *s);
struct str str_from_mem(const void *p, size_t len);

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b);
/* Byte order as memcmp, shorter first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* Offset of the first (last) such byte, or s.len if there is none. */
size_t str_index(struct str s, char c);
size_t str_rindex(struct str s, char c);
/* Offset of the first byte that is one of set, or s.len. */
size_t str_index_any(struct str s, const char *set);
/* Offset of the first occurrence of needle, or s.len. An empty needle is at 0. */
size_t str_find(struct str s, struct str needle);
bool str_contains(struct str s, char c);

/* s without its first n bytes; its first n bytes; n beyond the end is the end. */
struct str str_skip(struct str s, size_t n);
struct str str_head(struct str s, size_t n);

/* Without leading and trailing space, tab, CR, LF. */
struct str str_trim(struct str s);
struct str str_trim_left(struct str s);
struct str str_trim_right(struct str s);

/* Split at the first sep: both parts without it. False (outputs untouched) if none. */
bool str_split(struct str s, char sep, struct str *head_out, struct str *tail_out);

/* Take the next run of bytes not in seps off *rest. False at the end. */
bool str_token(struct str *rest, const char *seps, struct str *token_out);

/* Take the next line off *rest, without its LF (or CR LF). False at the end. */
bool str_line(struct str *rest, struct str *line_out);

/* The whole of s as a decimal number; false for anything else or out of range. */
bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out) MUST_CHECK;
bool str_to_u64(struct str s, uint64_t max, uint64_t *out) MUST_CHECK;

/* Copies in the arena; every copy has a NUL after its last byte. */
struct str str_dup(struct arena *mem, struct str s);
char *str_c(struct arena *mem, struct str s);
struct str str_lower(struct arena *mem, struct str s);
struct str str_concat(struct arena *mem, struct str a, struct str b);
struct str str_printf(struct arena *mem, const char *format, ...) PRINTF_LIKE(2, 3);
struct str str_vprintf(struct arena *mem, const char *format, va_list ap)
	PRINTF_LIKE(2, 0);

/* Every byte that is not printable ASCII (or valid UTF-8 where utf8) as '?'. */
struct str str_printable(struct arena *mem, struct str s, bool utf8);
bool str_is_utf8(struct str s);
bool str_is_ascii(struct str s);

/* Hash of the bytes; of the lower-cased bytes. Seed against chosen collisions. */
uint64_t str_hash(struct str s, uint64_t seed);

bool char_is_space(char c); /* space, tab, CR, LF, VT, FF */
bool char_is_blank(char c); /* space, tab */
bool char_is_digit(char c);
bool char_is_alpha(char c);
bool char_is_alnum(char c);
bool char_is_print(char c); /* 32..126 */
char char_lower(char c);
char char_upper(char c);
