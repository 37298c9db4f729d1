/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Changing main.cf and master.cf as postconf -e, -X, -# and their -M, -F, -P forms do.
 *
 * The text functions are pure: old text in, new text out. edit_file() holds a lock on the
 * file while it reads, changes and replaces it, so that two editors do not lose each
 * other's work, and a reader sees the old file or the new one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/config.h"

struct arena;

enum edit_mode {
	EDIT_SET,     /* replace, or append what is missing */
	EDIT_REMOVE,  /* -X */
	EDIT_COMMENT, /* -# */
};

/* Warnings of an edit, in order. */
struct edit_notes {
	const char *file; /* set by the caller: its name for the texts */
	struct str *at;
	size_t count;
};

/* main.cf: items[].value is not looked at unless EDIT_SET. */
bool edit_main(struct arena *mem, struct str old, enum edit_mode mode,
	       const struct config_override *items, size_t count, struct str *out,
	       struct edit_notes *notes, struct err *err) MUST_CHECK;

/* A change of a file's text; closure is the caller's. */
typedef bool edit_fn(struct arena *mem, struct str old, struct str *out, void *closure,
		     struct err *err);

/* Lock, read, change, replace if it differs. */
bool edit_file(struct arena *mem, const char *path, edit_fn *change, void *closure,
	       struct err *err) MUST_CHECK;
