/* SPDX-License-Identifier: Apache-2.0 */
#include "table/maps.h"

#include "base/arena.h"
#include "base/macros.h"

#include "table/table.h"

struct maps {
	const char *title;
	struct table **tables;
	size_t n_tables;
	const char **warnings;
	size_t n_warnings;
};

/* The next table's text: up to a comma or blank outside braces; one pair of braces around
 * the whole is taken off. False at the end; *bad for braces that do not match. */
static bool
next_spec(struct str *rest, struct str *spec_out, bool *bad)
{
	struct str s = *rest;
	size_t end = 0;
	int depth = 0;

	while (s.len > 0 && (char_is_space(s.p[0]) || s.p[0] == ','))
		s = str_skip(s, 1);
	for (; end < s.len; end++) {
		char c = s.p[end];

		if (depth == 0 && (char_is_space(c) || c == ','))
			break;
		depth += (c == '{') - (c == '}');
		if (depth < 0)
			break;
	}
	*bad = depth != 0;
	*spec_out = str_head(s, end);
	*rest = str_skip(s, end);
	if (spec_out->len > 1 && spec_out->p[0] == '{')
		*spec_out = str_trim(str_head(str_skip(*spec_out, 1), spec_out->len - 2));
	return end > 0;
}

static size_t
count_specs(struct str text)
{
	struct str spec;
	size_t n = 0;
	bool bad;

	while (next_spec(&text, &spec, &bad) && !bad)
		n++;
	return n;
}

static void
collect_warnings(struct arena *mem, struct maps *m, const struct err *errors,
		 const bool *failed)
{
	const char *const *texts;
	size_t n = 0;

	for (size_t i = 0; i < m->n_tables; i++)
		n += table_warnings(m->tables[i], &texts) + 1;
	m->warnings = arena_alloc_array(mem, n + 1, sizeof(*m->warnings));
	for (size_t i = 0; i < m->n_tables; i++) {
		size_t k = table_warnings(m->tables[i], &texts);

		if (failed[i])
			m->warnings[m->n_warnings++] = arena_strdup(mem, errors[i].text);
		for (size_t w = 0; w < k; w++)
			m->warnings[m->n_warnings++] = texts[w];
	}
}

bool
maps_open(struct arena *mem, const char *title, struct str text, unsigned flags,
	  struct maps **maps_out, struct err *err)
{
	struct maps *m = ARENA_NEW(mem, struct maps);
	size_t n = count_specs(text);
	struct err *errors;
	bool *failed;
	struct str spec;
	bool bad = false;

	if (n > MAPS_TABLES_MAX)
		return err_set(err, ERR_CONFIG, "%s: more than %d tables", title,
			       MAPS_TABLES_MAX);
	m->title = arena_strdup(mem, title);
	m->tables = arena_alloc_array(mem, n + 1, sizeof(*m->tables));
	errors = arena_alloc_array(mem, n + 1, sizeof(*errors));
	failed = arena_alloc_array(mem, n + 1, sizeof(*failed));
	while (next_spec(&text, &spec, &bad) && !bad) {
		struct err *why = &errors[m->n_tables];

		failed[m->n_tables] =
			!table_open(mem, spec, flags, &m->tables[m->n_tables], why);
		if (failed[m->n_tables])
			m->tables[m->n_tables] = table_failing(mem, spec, why);
		m->n_tables++;
	}
	if (bad)
		return err_set(err, ERR_CONFIG, "%s: braces do not match", title);
	collect_warnings(mem, m, errors, failed);
	*maps_out = m;
	return true;
}

static bool
in_scope(const struct table *t, enum maps_scope scope)
{
	switch (scope) {
	case MAPS_ALL:
		break;
	case MAPS_FIXED:
		return !table_is_pattern(t);
	case MAPS_PATTERN:
		return table_is_pattern(t);
	}
	return true;
}

static enum lookup
empty_result(const struct table *t, struct str key, struct err *err)
{
	IGNORE(err_set(err, ERR_CONFIG,
		       "%s lookup of " PRI_STR " returns an empty string result",
		       table_name(t), STR_ARG(key)));
	return LOOKUP_FAILED;
}

enum lookup
maps_find(struct maps *maps, struct arena *mem, struct str key, enum maps_scope scope,
	  struct maps_hit *hit_out, struct err *err)
{
	if (key.len == 0)
		return LOOKUP_ABSENT;
	for (size_t i = 0; i < maps->n_tables; i++) {
		struct table *t = maps->tables[i];
		struct str value;
		enum lookup result;

		if (!in_scope(t, scope))
			continue;
		result = table_lookup(t, mem, key, &value, err);
		if (result == LOOKUP_ABSENT)
			continue;
		if (result == LOOKUP_FAILED)
			return result;
		if (value.len == 0)
			return empty_result(t, key, err);
		*hit_out = (struct maps_hit){.value = value, .table = table_name(t)};
		return LOOKUP_FOUND;
	}
	return LOOKUP_ABSENT;
}

bool
maps_is_outdated(const struct maps *maps)
{
	for (size_t i = 0; i < maps->n_tables; i++)
		if (table_is_outdated(maps->tables[i]))
			return true;
	return false;
}

const char *
maps_title(const struct maps *maps)
{
	return maps->title;
}

size_t
maps_count(const struct maps *maps)
{
	return maps->n_tables;
}

struct table *
maps_table(const struct maps *maps, size_t i)
{
	return maps->tables[i];
}

size_t
maps_warnings(const struct maps *maps, const char *const **texts_out)
{
	*texts_out = maps->warnings;
	return maps->n_warnings;
}
