/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which parameter names there are: built in, made from the services of master.cf, and the
 * user's own that something refers to. And what does not fit: names that nobody uses, and
 * references to nothing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "base/str.h"
#include "config/config.h"
#include "entries.h"

struct arena;

enum name_class { NAME_BUILTIN = 1, NAME_SERVICE = 2, NAME_USER = 4 };

struct name {
	struct str text;
	enum name_class class;
	struct str def; /* NAME_SERVICE: its default */
};

struct names {
	struct name *at; /* in byte order */
	size_t count;
	/* Complete texts; `undefined` comes before the output, `unused` after it. */
	struct str *undefined;
	size_t undefined_count;
	struct str *unused;
	size_t unused_count;
};

/* entries may be empty. */
struct names names_collect(struct arena *mem, const struct config *cfg,
			   const struct entries *entries);

/* The name, or NULL. */
const struct name *names_find(const struct names *names, struct str text);
