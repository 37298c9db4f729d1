/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The tables and lists that a daemon's parameters name: opened as lib/table does, in the
 * daemon's arena, with what there is to say of them in its log.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"

#include "table/match.h"

struct daemon;
struct maps;

/* maps_open(). */
bool daemon_open_maps(struct daemon *d, const char *title, struct str text,
		      unsigned flags, struct maps **out, struct err *err) MUST_CHECK;

/* The same for checks that are only worth their while with a table: *out is NULL where
 * the value names none. */
bool daemon_open_checks(struct daemon *d, const char *title, struct str text,
			unsigned flags, struct maps **out, struct err *err) MUST_CHECK;

/* match_open(). */
bool daemon_open_match(struct daemon *d, enum match_kind kind, const char *title,
		       struct str text, struct match **out, struct err *err) MUST_CHECK;

/* What maps_warnings() and match_warnings() have, into the log. */
void daemon_warn_of_maps(struct daemon *d, const struct maps *maps);
void daemon_warn_of_match(struct daemon *d, const struct match *match);
