/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The list of tables in a parameter such as virtual_alias_maps: asked from left to right,
 * the first hit counts. A failure of one table ends the search, because a later hit might
 * not be the right answer.
 *
 * A table that cannot be opened becomes one whose look-ups fail, with a warning, so that
 * only mail that needs it waits. Lives in the arena it was opened in.
 *
 * Only keys as they are: in which order the parts of an address are tried is the matter
 * of rewrite/.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#include "table/table.h"

struct arena;
struct maps;

struct maps_hit {
	struct str value;
	const char *table; /* "type:name", lives as long as the maps */
};

/* Which tables a key is for: a part of an address (a bare user, @domain) is only tried in
 * tables of fixed keys, the pattern tables want the whole. */
enum maps_scope { MAPS_ALL, MAPS_FIXED, MAPS_PATTERN };

enum { MAPS_TABLES_MAX = 256 };

/* title: the parameter's name, for texts. text: its value, expanded; comma or blank
 * between tables, { } around a table whose name contains such. Fails only if there are
 * more than MAPS_TABLES_MAX or braces do not match. */
bool maps_open(struct arena *mem, const char *title, struct str text, unsigned flags,
	       struct maps **maps_out, struct err *err) MUST_CHECK;

/* An empty key is absent. An empty value is a failure (ERR_CONFIG), as in Postfix. */
enum lookup maps_find(struct maps *maps, struct arena *mem, struct str key,
		      enum maps_scope scope, struct maps_hit *hit_out,
		      struct err *err) MUST_CHECK;

/* Is one of the tables, see table_is_outdated()? */
bool maps_is_outdated(const struct maps *maps);

const char *maps_title(const struct maps *maps);
size_t maps_count(const struct maps *maps);
struct table *maps_table(const struct maps *maps, size_t i);

/* All that table_open() complained of, ready to log. */
size_t maps_warnings(const struct maps *maps, const char *const **texts_out);
