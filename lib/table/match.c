/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list becomes an array of patterns when it is opened: files are read then, tables
 * opened. What cannot be read or parsed stays as a pattern that fails when the search
 * comes to it.
 */
#include "table/match.h"

#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/macros.h"

#include "table/cidr_net.h"
#include "table/fold.h"
#include "table/table_internal.h"

enum { FILE_MAX = 1 << 20, FILE_DEPTH = 8 };

enum pattern_kind { PATTERN_TEXT, PATTERN_NET, PATTERN_TABLE, PATTERN_FAILING };

struct pattern {
	enum pattern_kind kind;
	bool negated;
	struct str text; /* as written, lower case */
	struct cidr_net net;
	struct table *table;
	struct err err; /* PATTERN_FAILING */
};

struct match {
	struct arena *mem;
	struct table *inside; /* NULL: of no table */
	const char *title;
	enum match_kind kind;
	unsigned flags;
	struct pattern *patterns;
	size_t n_patterns, size;
	const char **warnings;
	size_t n_warnings, warnings_size;
};

static void
warn(struct match *m, const char *text)
{
	if (m->n_warnings == m->warnings_size) {
		size_t size = m->warnings_size * 2 + 4;
		const char **bigger = arena_alloc_array(m->mem, size, sizeof(*bigger));

		if (m->n_warnings > 0)
			memcpy(bigger, m->warnings, m->n_warnings * sizeof(*bigger));
		m->warnings = bigger;
		m->warnings_size = size;
	}
	m->warnings[m->n_warnings++] = arena_strdup(m->mem, text);
}

static struct pattern *
add(struct match *m, enum pattern_kind kind, bool negated, struct str text)
{
	struct pattern *p;

	if (m->n_patterns == m->size) {
		struct pattern *bigger =
			arena_alloc_array(m->mem, m->size * 2 + 8, sizeof(*bigger));

		if (m->n_patterns > 0)
			memcpy(bigger, m->patterns, m->n_patterns * sizeof(*bigger));
		m->patterns = bigger;
		m->size = m->size * 2 + 8;
	}
	p = &m->patterns[m->n_patterns++];
	*p = (struct pattern){.kind = kind, .negated = negated};
	p->text = str_lower(m->mem, text);
	return p;
}

static void
add_failing(struct match *m, bool negated, struct str text, const struct err *why)
{
	add(m, PATTERN_FAILING, negated, text)->err = *why;
	warn(m,
	     str_printf(m->mem, "%s: " PRI_STR ": %s", m->title, STR_ARG(text), why->text)
		     .p);
}

static bool
looks_like_net(struct str text)
{
	return text.len > 0 &&
	       (text.p[0] == '[' || char_is_digit(text.p[0]) ||
		(text.p[0] == ':' && text.len > 1)) &&
	       str_index_any(text, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ") ==
		       text.len;
}

/* "type:name", also of a type that there is not: that is a mistake to complain of, not a
 * name. An IPv6 address without brackets is none. */
static bool
looks_like_table(struct str text)
{
	struct cidr_address address;
	struct str head;
	struct str tail;

	return text.len > 0 && text.p[0] != '[' && str_split(text, ':', &head, &tail) &&
	       !cidr_address_parse(text, &address);
}

static bool
open_table(struct match *m, struct str spec, struct table **out, struct err *err)
{
	if (m->inside != NULL)
		return table_open_inner(m->inside, spec, out, err);
	return table_open(m->mem, spec,
			  TABLE_FOLD | ((m->flags & MATCH_UTF8) ? TABLE_UTF8 : 0), out,
			  err);
}

static void
add_item(struct match *m, struct str item, bool negated)
{
	struct err err;

	if (looks_like_table(item)) {
		struct table *t;

		if (open_table(m, item, &t, &err))
			add(m, PATTERN_TABLE, negated, item)->table = t;
		else
			add_failing(m, negated, item, &err);
		return;
	}
	if (m->kind == MATCH_ADDRESSES && looks_like_net(item)) {
		struct cidr_net net;

		if (cidr_net_parse(item, &net, &err))
			add(m, PATTERN_NET, negated, item)->net = net;
		else
			add_failing(m, negated, item, &err);
		return;
	}
	add(m, PATTERN_TEXT, negated, item);
}

static bool parse(struct match *m, struct str text, bool negated, int depth,
		  struct err *err);

/* The patterns in a file, lines that begin with '#' apart. */
static bool
add_file(struct match *m, struct str path, bool negated, int depth, struct err *err)
{
	struct str text;
	struct str line;
	struct err why;

	if (depth >= FILE_DEPTH) {
		IGNORE(err_set(&why, ERR_CONFIG, "files are nested too deep"));
		add_failing(m, negated, path, &why);
		return true;
	}
	if (!io_read_file(m->mem, AT_FDCWD, str_c(m->mem, path), FILE_MAX, &text, &why)) {
		add_failing(m, negated, path, &why);
		return true;
	}
	while (str_line(&text, &line)) {
		if (line.len > 0 && line.p[0] != '#' &&
		    !parse(m, line, negated, depth + 1, err))
			return false;
	}
	return true;
}

/* The next item of a list, without the separators around it; empty at the end. A table
 * of the inline type has commas of its own, in braces. */
static struct str
next_item(struct str *text)
{
	size_t end = 0;
	int braces = 0;
	struct str item;

	while (text->len > 0 && (char_is_space(text->p[0]) || text->p[0] == ','))
		*text = str_skip(*text, 1);
	for (; end < text->len; end++) {
		char c = text->p[end];

		if (braces <= 0 && (char_is_space(c) || c == ','))
			break;
		braces += (c == '{') - (c == '}');
	}
	item = str_head(*text, end);
	*text = str_skip(*text, end);
	return item;
}

static bool
parse(struct match *m, struct str text, bool negated, int depth, struct err *err)
{
	while (text.len > 0) {
		struct str item = next_item(&text);
		bool no = negated;

		while (item.len > 0 && item.p[0] == '!') {
			no = !no;
			item = str_skip(item, 1);
		}
		if (item.len == 0)
			continue;
		if (m->n_patterns >= MATCH_PATTERNS_MAX)
			return err_set(err, ERR_CONFIG, "%s: more than %d patterns",
				       m->title, MATCH_PATTERNS_MAX);
		if (item.p[0] == '/') {
			if (!add_file(m, item, no, depth, err))
				return false;
		} else {
			add_item(m, item, no);
		}
	}
	return true;
}

bool
match_open(struct arena *mem, enum match_kind kind, const char *title, struct str text,
	   unsigned flags, struct match **match_out, struct err *err)
{
	struct match *m = ARENA_NEW(mem, struct match);

	m->mem = mem;
	m->title = arena_strdup(mem, title);
	m->kind = kind;
	m->flags = flags;
	if (!parse(m, text, false, 0, err))
		return false;
	*match_out = m;
	return true;
}

bool
match_open_inside(struct table *t, const char *title, struct str text,
		  struct match **match_out, struct err *err)
{
	struct match *m = ARENA_NEW(t->mem, struct match);

	m->mem = t->mem;
	m->inside = t;
	m->title = arena_strdup(t->mem, title);
	m->kind = MATCH_STRINGS;
	if (!parse(m, text, false, 0, err))
		return false;
	for (size_t i = 0; i < m->n_warnings; i++)
		table_warn(t, "%s", m->warnings[i]);
	*match_out = m;
	return true;
}

/* ---- searching ---- */

static bool
domain_matches(const struct match *m, struct str pattern, struct str name)
{
	if (str_eq(pattern, name))
		return true;
	if (pattern.len > 0 && pattern.p[0] == '.')
		return (m->flags & MATCH_PARENT) == 0 && str_ends(name, pattern);
	return (m->flags & MATCH_PARENT) != 0 && name.len > pattern.len &&
	       str_ends(name, pattern) && name.p[name.len - pattern.len - 1] == '.';
}

static enum match_result
from_lookup(enum lookup result)
{
	return result == LOOKUP_FOUND    ? MATCH_YES
	       : result == LOOKUP_ABSENT ? MATCH_NO
					 : MATCH_FAILED;
}

/* The name, then what is above it: "b.c" where parents match subdomains, else ".b.c". */
static enum match_result
table_has_domain(const struct match *m, struct table *t, struct arena *mem,
		 struct str name, struct err *err)
{
	struct str value;
	enum match_result result = from_lookup(table_lookup(t, mem, name, &value, err));

	if (table_is_pattern(t))
		return result;
	while (result == MATCH_NO) {
		size_t dot = str_index(str_skip(name, 1), '.') + 1;

		if (dot >= name.len)
			break;
		name = str_skip(name, dot);
		result = from_lookup(table_lookup(
			t, mem, (m->flags & MATCH_PARENT) != 0 ? str_skip(name, 1) : name,
			&value, err));
	}
	return result;
}

static bool
net_has(const struct cidr_net *net, struct str address)
{
	struct cidr_address a;

	return cidr_address_parse(address, &a) && cidr_net_has(net, &a);
}

static enum match_result
pattern_matches(const struct match *m, const struct pattern *p, struct arena *mem,
		struct str name, struct str address, struct err *err)
{
	struct str value;

	switch (p->kind) {
	case PATTERN_FAILING:
		*err = p->err;
		return MATCH_FAILED;
	case PATTERN_NET:
		return net_has(&p->net, address) ? MATCH_YES : MATCH_NO;
	case PATTERN_TEXT:
		if (m->kind == MATCH_STRINGS)
			return str_eq(p->text, name) ? MATCH_YES : MATCH_NO;
		return domain_matches(m, p->text, name) ||
				       (address.len > 0 && str_ieq(p->text, address))
			       ? MATCH_YES
			       : MATCH_NO;
	case PATTERN_TABLE:
		break;
	}
	if (m->kind == MATCH_STRINGS)
		return from_lookup(table_lookup(p->table, mem, name, &value, err));
	if (name.len > 0) {
		enum match_result result = table_has_domain(m, p->table, mem, name, err);

		if (result != MATCH_NO || address.len == 0)
			return result;
	}
	return from_lookup(table_lookup(p->table, mem, address, &value, err));
}

static enum match_result
find(struct match *m, struct str name, struct str address, struct match_hit *hit_out,
     struct err *err)
{
	struct arena *mem = arena_new();
	struct str folded = str_lower(mem, name);
	enum match_result result = MATCH_NO;
	size_t i = 0;

	for (; i < m->n_patterns && result == MATCH_NO; i++)
		result = pattern_matches(m, &m->patterns[i], mem, folded, address, err);
	arena_free(&mem);
	if (hit_out != NULL)
		*hit_out = (struct match_hit){0};
	if (result != MATCH_YES)
		return result;
	if (hit_out != NULL) {
		hit_out->pattern = m->patterns[i - 1].text.p;
		hit_out->negated = m->patterns[i - 1].negated;
	}
	return m->patterns[i - 1].negated ? MATCH_NO : MATCH_YES;
}

enum match_result
match_find(struct match *m, struct str key, struct match_hit *hit_out, struct err *err)
{
	return find(m, key, STR_EMPTY, hit_out, err);
}

enum match_result
match_find_host(struct match *m, struct str name, struct str address,
		struct match_hit *hit_out, struct err *err)
{
	return find(m, name, address, hit_out, err);
}

const char *
match_title(const struct match *m)
{
	return m->title;
}

bool
match_is_empty(const struct match *m)
{
	return m->n_patterns == 0;
}

size_t
match_warnings(const struct match *m, const char *const **texts_out)
{
	*texts_out = m->warnings;
	return m->n_warnings;
}
