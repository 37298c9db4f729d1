/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shows what trace found: for a person (render_text.c) or a program (render_json.c).
 * Both print to a stdio stream. Text from the log is shown with control characters as
 * '?': nothing in a log can steer the terminal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"

struct arena;
struct event;
struct group;
struct schedule;

struct render {
	FILE *out;
	struct arena *mem;
	const struct schedule *schedule;
	bool colour;
};

/* The whole story of one group. */
void render_text_group(const struct render *r, const struct group *g);
/* One line per message. */
void render_text_summary(const struct render *r, const struct group *g);
/* A line without a queue id: a reject, a failed log-in ... */
void render_text_loose(const struct render *r, const struct event *e, bool one_line);
/* A line with the key that is no log line. */
void render_text_odd(const struct render *r, struct str line);
/* One line that has just been written (--follow). */
void render_text_event(const struct render *r, const struct event *e);

struct render_facts {
	struct str key;
	const char *const *files;
	size_t n_files;
	uint64_t bytes, lines, damaged, not_kept;
	uint64_t sessions;     /* not kept because every session has them */
	const struct str *odd; /* with the key, but no log lines */
	size_t n_odd;
};

/* One object with everything. */
void render_json(const struct render *r, const struct render_facts *facts,
		 struct group *const *groups, size_t n_groups, struct event *const *loose,
		 size_t n_loose);
/* One object on one line (--follow). */
void render_json_event(const struct render *r, const struct event *e);
