/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Match lists: mydestination, mynetworks, relay_domains and their like. Patterns are
 * tried in order, the first that matches decides: "!" makes it a "no", "/file" stands for
 * the patterns in the file, "type:table" matches when the key is in the table.
 *
 * Domain lists: "example.org" matches itself, and what is below when MATCH_PARENT is set;
 * ".example.org" matches what is below, without MATCH_PARENT. Tables are asked for the
 * name, then for its parents in the same form.
 * Address lists: "192.0.2.0/24", "[2001:db8::]/32", plain addresses, host names with the
 * rules of domain lists, tables with the name, its parents and the address as keys.
 *
 * An unreadable file, a table that fails and a pattern with errors make the result
 * MATCH_FAILED when the search comes that far.
 *
 * Limits: MATCH_PATTERNS_MAX patterns, files of at most 1 MiB, nested 8 deep.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct match;

enum match_kind {
	MATCH_STRINGS,   /* the whole key, ignoring case */
	MATCH_DOMAINS,   /* domain names */
	MATCH_ADDRESSES, /* host names and addresses */
};

enum match_flag {
	MATCH_PARENT = 1u << 0, /* parent_domain_matches_subdomains names this list */
	MATCH_UTF8 = 1u << 1,   /* tables as with TABLE_UTF8 */
};

enum match_result { MATCH_YES, MATCH_NO, MATCH_FAILED };

enum { MATCH_PATTERNS_MAX = 10000 };

/* What decided; pattern is NULL when nothing matched. Lives as long as the list. */
struct match_hit {
	const char *pattern;
	bool negated;
};

/* title: the parameter's name. Patterns with errors are warnings, not failures. */
bool match_open(struct arena *mem, enum match_kind kind, const char *title,
		struct str text, unsigned flags, struct match **match_out,
		struct err *err) MUST_CHECK;

/* A string or a domain. hit_out may be NULL. */
enum match_result match_find(struct match *m, struct str key, struct match_hit *hit_out,
			     struct err *err) MUST_CHECK;

/* A client: its name ("unknown" when there is none) and address as text. */
enum match_result match_find_host(struct match *m, struct str name, struct str address,
				  struct match_hit *hit_out, struct err *err) MUST_CHECK;

const char *match_title(const struct match *m);
bool match_is_empty(const struct match *m);
size_t match_warnings(const struct match *m, const char *const **texts_out);
