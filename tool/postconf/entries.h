/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The entries of master.cf for showing: text in columns (config/master_entry.h).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"
#include "config/master_entry.h"

struct arena;

struct entries {
	const char *file;
	struct master_entry **at;
	size_t count;
	struct master_notes notes;
};

/* Read DIR/master.cf. */
bool entries_load(struct arena *mem, const struct config *cfg, struct entries *out,
		  struct err *err) MUST_CHECK;

/* The text for what is wrong with an entry, as postconf says it. */
bool entries_fault(const struct master_fault *fault, const char *file, unsigned line,
		   struct str text, struct err *err);

/* Whether the entry fits a request "name[/type]", * being anything. rest_out gets what
 * follows a second slash ("" if nothing). */
bool entry_matches(const struct master_entry *entry, struct str request,
		   struct str *rest_out);
