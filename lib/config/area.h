/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How an area's rows become a struct and a loader. An area is three short files:
 *
 *	x.def		the rows
 *	x_config.h	struct x_config { AREA_FIELDS from x.def } and x_config_load()
 *	x_config.c	the fields' places, and a call of area_load()
 *
 * A PARAM_BOOL row gives a bool, PARAM_INT an int, PARAM_LONG an int64_t, times an
 * int64_t in seconds, PARAM_STR and PARAM_RAW a struct str. Text is expanded except
 * PARAM_RAW.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct config;

#define AREA_C_BOOL   bool
#define AREA_C_INT    int
#define AREA_C_LONG   int64_t
#define AREA_C_TIME_S int64_t
#define AREA_C_TIME_M int64_t
#define AREA_C_TIME_H int64_t
#define AREA_C_TIME_D int64_t
#define AREA_C_TIME_W int64_t
#define AREA_C_STR    struct str
#define AREA_C_RAW    struct str

/* For use as PARAM: a member of the struct. */
#define AREA_FIELD(T, name, def, min, max, text)           AREA_C_##T name;
#define AREA_FIELD_AS(T, field, name, def, min, max, text) AREA_C_##T field;

struct area_field {
	const char *name;
	size_t offset;
};

/* Fill the members of the struct at out, each converted and checked by its row. Fails at
 * the first bad value; then out is partly filled. */
bool area_load(struct arena *mem, const struct config *cfg,
	       const struct area_field *fields, size_t count, void *out,
	       struct err *err) MUST_CHECK;

/* For a value that is bad: put where it is set before the text of err, which is
 * Postfix's. Returns false. */
bool area_located(const struct config *cfg, struct str name, struct err *err);

/* As area_load(), but in a program named lmtp a field smtp_x is read from lmtp_x where
 * there is such a row (lhlo in place of helo and ehlo). */
bool area_load_smtp(struct arena *mem, const struct config *cfg,
		    const struct area_field *fields, size_t count, void *out,
		    struct err *err) MUST_CHECK;
