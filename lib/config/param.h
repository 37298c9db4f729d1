/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Parameters as rows: every name of Postfix 3.7, with type and default, and ours.
 *
 * A row lives in exactly one .def file (a name in two files does not compile):
 *
 *	PARAM(TYPE, name, "default", min, max, "what it is for")
 *
 * in an area file (smtp.def, qmgr.def ...) when we act on it: the area's struct then has
 * a field of that name. In known.def when Postfix knows it and we do not act on it yet;
 * moving the line to an area and giving it a text is all that is needed. newer.def has
 * names that came after 3.7, old.def names that newer ones replaced, ours.def and
 * resolver.def those that Postfix does not have. PARAM_AS(TYPE, field, "name", ...) is
 * for a name that is no C identifier.
 *
 * The default is text exactly as `postconf -d` prints it; it is expanded when asked for.
 * min and max bound a number or a time in seconds, and min the length of a text; max 0 is
 * no limit. All data here is constant.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* A time knows the unit of a bare number in the configuration file. */
enum param_type {
	PARAM_BOOL,
	PARAM_INT,  /* int */
	PARAM_LONG, /* int64_t */
	PARAM_TIME_S,
	PARAM_TIME_M,
	PARAM_TIME_H,
	PARAM_TIME_D,
	PARAM_TIME_W,
	PARAM_STR, /* text; also lists and tables, which their readers take apart */
	PARAM_RAW, /* text that is not expanded: it has variables of its own */
};

enum param_state {
	PARAM_ACTED,   /* in an area: we do what it says */
	PARAM_KNOWN,   /* Postfix 3.7 has it, we do not act on it yet */
	PARAM_NEWER,   /* a Postfix after 3.7 has it, we do not act on it */
	PARAM_OURS,    /* not in Postfix; we act on it */
	PARAM_OLD,     /* an old name that a default refers to; summary is the new name */
	PARAM_RUNTIME, /* says something about the asking program; computed */
};

/* No pointers: sendmail and postdrop start for every message, and the loader would write
 * into every page of this table first. */
struct param {
	enum param_type type;
	enum param_state state;
	int64_t min;
	int64_t max;
	char area[12];                        /* "smtp"; "known" and "newer" too */
	unsigned name_at, def_at, summary_at; /* for the functions below */
};

/* Texts of a row; they live for ever and have a NUL at their end. */
struct str param_name(const struct param *row);
struct str param_default(const struct param *row);
const char *param_summary(const struct param *row);

/* The row, or NULL. Also finds newer names. */
const struct param *param_find(struct str name);

/* All rows, sorted by name in byte order. */
const struct param *param_at(size_t i);
size_t param_count(void);

/* The row whose name is nearest to name by edit distance, if near enough to be a typing
 * error, else NULL. */
const struct param *param_nearest(struct str name);

/* Edit distance (insert, delete, replace, swap of neighbours), at most limit + 1. */
unsigned param_distance(struct str a, struct str b, unsigned limit);

/* The unit letter of a time type, 0 for other types. */
char param_unit(enum param_type type);

/* "boolean", "integer", "time", "text". */
const char *param_type_name(enum param_type type);
