/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The sites for which flush(8) keeps lists of deferred mail: fast_flush_domains, and how
 * a site's list is named.
 */

#include "base/err.h"
#include "base/str.h"

#include "table/match.h"

struct arena;
struct config;

/* fast_flush_domains as a match list; in the arena. */
bool flush_sites_open(struct arena *mem, const struct config *cfg,
		      struct match **match_out, struct err *err) MUST_CHECK;

/* File name of the site's list: lower case, all but letters and digits replaced by `_`.
 * The name is a valid queue id. Sites of the same name share a list; no harm, only more
 * attempts. Empty for an empty site. */
struct str flush_site_file(struct arena *mem, struct str site);
