/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What postmap is asked to do, and how it speaks: complaints go to standard error as
 * "postmap: warning: ...", and whatever cannot be done ends it with status 1.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/str.h"
#include "table/build.h"

struct arena;

struct postmap {
	struct arena *mem;
	const char *program;      /* for messages */
	struct str default_type;  /* for arguments without "type:" */
	struct str hostname;      /* myhostname */
	bool aliases;             /* postalias: sources as in aliases(5) */
	bool fold;                /* keys to lower case; not with -f */
	bool utf8;                /* smtputf8_enable, unless -u */
	bool incremental;         /* -i: add to what is there, from standard input */
	bool replace;             /* -r: the last of duplicates counts */
	bool quiet_duplicates;    /* -w */
	enum build_nul nul;       /* -n, -N */
	bool keep_root;           /* -o: do not become the owner of the source */
	bool default_permissions; /* -p: not those of the source */
	bool files;               /* -F: values are names of files */
};

void postmap_warn(const struct postmap *p, const char *format, ...) PRINTF_LIKE(2, 3);
NORETURN void postmap_die(const struct postmap *p, const char *format, ...)
	PRINTF_LIKE(2, 3);

/* Split an argument into type and name. */
void postmap_split(const struct postmap *p, struct str argument, struct str *type_out,
		   struct str *name_out);
