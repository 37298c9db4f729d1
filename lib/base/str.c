/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/panic.h"

bool
char_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
char_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
char_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
char_is_alnum(char c)
{
	return char_is_alpha(c) || char_is_digit(c);
}

bool
char_is_print(char c)
{
	return c >= 32 && c <= 126;
}

char
char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char
char_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

struct str
str_from(const char *s)
{
	return s == NULL ? STR_EMPTY : (struct str){s, strlen(s)};
}

struct str
str_from_mem(const void *p, size_t len)
{
	return (struct str){p, len};
}

bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
str_ieq(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (char_lower(a.p[i]) != char_lower(b.p[i]))
			return false;
	}
	return true;
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = MIN_OF(a.len, b.len);
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

struct str
str_head(struct str s, size_t n)
{
	return (struct str){s.p, MIN_OF(n, s.len)};
}

struct str
str_skip(struct str s, size_t n)
{
	n = MIN_OF(n, s.len);
	return (struct str){s.p + n, s.len - n};
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq(str_head(s, prefix.len), prefix);
}

bool
str_istarts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_ieq(str_head(s, prefix.len), prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

bool
str_iends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_ieq(str_skip(s, s.len - suffix.len), suffix);
}

size_t
str_index(struct str s, char c)
{
	const char *at = s.len == 0 ? NULL : memchr(s.p, c, s.len);

	return at == NULL ? s.len : (size_t)(at - s.p);
}

size_t
str_rindex(struct str s, char c)
{
	const char *at = s.len == 0 ? NULL : memrchr(s.p, c, s.len);

	return at == NULL ? s.len : (size_t)(at - s.p);
}

static bool
in_set(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

size_t
str_index_any(struct str s, const char *set)
{
	size_t i = 0;

	while (i < s.len && !in_set(s.p[i], set))
		i++;
	return i;
}

size_t
str_find(struct str s, struct str needle)
{
	const char *at;

	if (needle.len == 0)
		return 0;
	at = s.len < needle.len ? NULL : memmem(s.p, s.len, needle.p, needle.len);
	return at == NULL ? s.len : (size_t)(at - s.p);
}

bool
str_contains(struct str s, char c)
{
	return str_index(s, c) < s.len;
}

struct str
str_trim_left(struct str s)
{
	while (s.len > 0 && char_is_space(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

struct str
str_trim_right(struct str s)
{
	while (s.len > 0 && char_is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct str
str_trim(struct str s)
{
	return str_trim_left(str_trim_right(s));
}

bool
str_split(struct str s, char sep, struct str *head_out, struct str *tail_out)
{
	size_t at = str_index(s, sep);

	if (at == s.len)
		return false;
	*head_out = str_head(s, at);
	*tail_out = str_skip(s, at + 1);
	return true;
}

bool
str_token(struct str *rest, const char *seps, struct str *token_out)
{
	struct str s = *rest;
	size_t end;

	while (s.len > 0 && in_set(s.p[0], seps))
		s = str_skip(s, 1);
	*rest = s;
	if (s.len == 0)
		return false;
	end = str_index_any(s, seps);
	*token_out = str_head(s, end);
	*rest = str_skip(s, end);
	return true;
}

bool
str_line(struct str *rest, struct str *line_out)
{
	size_t at = str_index(*rest, '\n');
	struct str line = str_head(*rest, at);

	if (rest->len == 0)
		return false;
	if (line.len > 0 && at < rest->len && line.p[line.len - 1] == '\r')
		line.len--;
	*line_out = line;
	*rest = str_skip(*rest, at + 1);
	return true;
}

bool
str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit;

		if (!char_is_digit(s.p[i]))
			return false;
		digit = (uint64_t)(s.p[i] - '0');
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (value > max)
		return false;
	*out = value;
	return true;
}

bool
str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out)
{
	bool negative = s.len > 0 && s.p[0] == '-';
	uint64_t magnitude;
	int64_t value;

	if (!str_to_u64(negative ? str_skip(s, 1) : s, INT64_MAX, &magnitude))
		return false;
	value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

struct str
str_dup(struct arena *mem, struct str s)
{
	return (struct str){arena_memdup(mem, s.p, s.len), s.len};
}

char *
str_c(struct arena *mem, struct str s)
{
	return arena_memdup(mem, s.p, s.len);
}

struct str
str_lower(struct arena *mem, struct str s)
{
	char *copy = arena_memdup(mem, s.p, s.len);

	for (size_t i = 0; i < s.len; i++)
		copy[i] = char_lower(copy[i]);
	return (struct str){copy, s.len};
}

struct str
str_concat(struct arena *mem, struct str a, struct str b)
{
	char *copy = arena_alloc(mem, a.len + b.len + 1);

	if (a.len > 0)
		memcpy(copy, a.p, a.len);
	if (b.len > 0)
		memcpy(copy + a.len, b.p, b.len);
	return (struct str){copy, a.len + b.len};
}

struct str
str_vprintf(struct arena *mem, const char *format, va_list ap)
{
	va_list again;
	int len;
	char *p;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, ap);
	ensure(len >= 0);
	p = arena_alloc(mem, (size_t)len + 1);
	IGNORE(vsnprintf(p, (size_t)len + 1, format, again) < 0);
	va_end(again);
	return (struct str){p, (size_t)len};
}

struct str
str_printf(struct arena *mem, const char *format, ...)
{
	struct str s;
	va_list ap;

	va_start(ap, format);
	s = str_vprintf(mem, format, ap);
	va_end(ap);
	return s;
}

/* Length of the valid UTF-8 sequence at the start of s (RFC 3629), 0 if there is none. */
static size_t
utf8_sequence(struct str s)
{
	const unsigned char *u = (const unsigned char *)s.p;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t n;

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return 0;
	n = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (s.len < n)
		return 0;
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (u[0] == 0xe0)
		low = 0xa0;
	else if (u[0] == 0xed)
		high = 0x9f;
	else if (u[0] == 0xf0)
		low = 0x90;
	else if (u[0] == 0xf4)
		high = 0x8f;
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

struct str
str_printable(struct arena *mem, struct str s, bool utf8)
{
	char *copy = arena_memdup(mem, s.p, s.len);

	for (size_t i = 0; i < s.len;) {
		size_t n = char_is_print(copy[i]) ? 1 : 0;

		if (n == 0 && utf8 && (copy[i] & 0x80) != 0)
			n = utf8_sequence(str_skip(s, i));
		if (n == 0) {
			copy[i] = '?';
			n = 1;
		}
		i += n;
	}
	return (struct str){copy, s.len};
}

bool
str_is_utf8(struct str s)
{
	while (s.len > 0) {
		size_t n = utf8_sequence(s);

		if (n == 0)
			return false;
		s = str_skip(s, n);
	}
	return true;
}

bool
str_is_ascii(struct str s)
{
	uint64_t word;
	size_t i = 0;

	/* Every line of every message comes through here: eight bytes at a time. */
	for (; s.len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		if ((word & 0x8080808080808080u) != 0)
			return false;
	}
	for (; i < s.len; i++) {
		if ((s.p[i] & 0x80) != 0)
			return false;
	}
	return true;
}

/* FNV-1a with a seed, then a final mix. */
uint64_t
str_hash(struct str s, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ (h >> 32);
}
