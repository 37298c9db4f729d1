/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Prints a queue file as postcat does. The file may be damaged or no queue file at all:
 * what can be read is printed, warnings go to standard error.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct arena;

enum show_what {
	SHOW_ENVELOPE = 1 << 0,
	SHOW_HEADER = 1 << 1,
	SHOW_BODY = 1 << 2,
	SHOW_OFFSET = 1 << 3,
	SHOW_TYPE = 1 << 4,
	SHOW_RAW = 1 << 5,     /* pointers are not followed */
	SHOW_RECORDS = 1 << 6, /* -v: text with its record's name, pointers too */
	SHOW_NAME = 1 << 7,    /* file name before each record */
};

struct show_request {
	const char *program; /* for warnings */
	const char *name;    /* of the file, for banners */
	int fd;
	unsigned what;
	int64_t start; /* where to begin */
};

/* False: the file ends in the middle of a record, or its pointers lead nowhere. */
bool show_file(struct arena *mem, const struct show_request *request, FILE *out,
	       struct err *err) MUST_CHECK;
