/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The file that describes a table of a database: "name = value" lines in the form of
 * main.cf, without $name expansion. Of settings with the same name the last one counts.
 */

#include <stdbool.h>
#include <stddef.h>

#include "table/table_internal.h"

struct setting {
	const char *name;
	struct str
		value; /* the default before, the setting after; in the table's arena */
};

enum { SETTINGS_FILE_MAX = 1 << 20 };

/* Fill in the n rows. A name that is none of theirs, and a line that is no setting, is a
 * warning of the table. */
bool table_settings_load(struct table *t, const char *path, struct setting *rows,
			 size_t n, struct err *err) MUST_CHECK;

/* The same from where `name` says, what comes behind "type:" in the table's name: a file
 * if it begins with / or '.', else the parameters name_SETTING of main.cf. */
bool table_settings_open(struct table *t, struct str name, struct setting *rows, size_t n,
			 struct err *err) MUST_CHECK;

/* A number, a time with its unit (seconds without), yes or no. ERR_CONFIG names the
 * table and the setting. */
bool setting_number(const struct table *t, const struct setting *row, int64_t min,
		    int64_t max, int64_t *out, struct err *err) MUST_CHECK;
bool setting_seconds(const struct table *t, const struct setting *row, int64_t max,
		     int64_t *out, struct err *err) MUST_CHECK;
bool setting_bool(const struct table *t, const struct setting *row, bool *out,
		  struct err *err) MUST_CHECK;

/* For a library's functions: a string in the table's arena, NULL where it is empty. */
const char *setting_c(const struct table *t, const struct setting *row);

/* One setting alone; empty if it is not there or the file cannot be read. */
struct str table_settings_peek(struct arena *mem, const char *path, struct str name);
