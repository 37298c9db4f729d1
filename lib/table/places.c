/* SPDX-License-Identifier: Apache-2.0 */
#include "table/places.h"

#include <string.h>

#include "base/arena.h"
#include "base/macros.h"

#include "table/settings.h"

/* "hash:/a/b", "!/a/b", "{/a/b}", "proxy:hash:/a/b", "x=/a/b" */
static const char before[] = " ,\t\r\n{}:=!";
static const char behind[] = " ,\t\r\n{}";

struct places {
	struct arena *mem;
	const char **list; /* ended by NULL */
	size_t n;
};

static void
add(struct places *p, struct str path)
{
	size_t slash = str_rindex(path, '/');
	const char *name = str_c(p->mem, slash == 0 ? path : str_head(path, slash));

	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->list[i], name) == 0)
			return;
	}
	/* "/" alone would be everything. */
	if (p->n < TABLE_PLACES_MAX && path.len > 1)
		p->list[p->n++] = name;
}

/* The files that the table's own settings name. */
static void
add_named(struct places *p, struct str settings)
{
	static const struct str names[] = {
		STR_INIT("dbpath"),          STR_INIT("option_file"),
		STR_INIT("tls_cert_file"),   STR_INIT("tls_key_file"),
		STR_INIT("tls_CAfile"),      STR_INIT("tls_CApath"),
		STR_INIT("tls_ca_cert_dir"), STR_INIT("tls_ca_cert_file"),
		STR_INIT("tls_cert"),        STR_INIT("tls_key"),
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str path =
			table_settings_peek(p->mem, str_c(p->mem, settings), names[i]);

		if (str_starts(path, STR("/")))
			add(p, path);
	}
}

static bool
has_settings(struct str type)
{
	return str_ends(type, STR("sqlite:")) || str_ends(type, STR("mysql:")) ||
	       str_ends(type, STR("ldap:"));
}

const char *const *
table_places(struct arena *mem, const struct str *values, size_t n)
{
	struct places p = {.mem = mem};

	p.list = arena_alloc_array(mem, TABLE_PLACES_MAX + 1, sizeof(*p.list));
	for (size_t v = 0; v < n; v++) {
		struct str text = values[v];

		for (size_t i = 0; i < text.len; i++) {
			size_t end = i;

			if (text.p[i] != '/' ||
			    (i > 0 &&
			     memchr(before, text.p[i - 1], sizeof(before) - 1) == NULL))
				continue;
			while (end < text.len &&
			       memchr(behind, text.p[end], sizeof(behind) - 1) == NULL)
				end++;
			add(&p, str_from_mem(text.p + i, end - i));
			if (has_settings(str_head(text, i)))
				add_named(&p, str_from_mem(text.p + i, end - i));
			i = end;
		}
	}
	p.list[p.n] = NULL;
	return p.list;
}
