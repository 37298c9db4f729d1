/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * smtp_generic_maps (generic(5)): addresses of our own that mean nothing outside are
 * replaced as mail leaves, in the envelope and in the message's own header. Each address
 * is looked up once; where a table does not answer the message waits.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct header_name;
struct maps;
struct rewrite_rules;
struct smtp;

struct generic {
	struct maps *maps; /* NULL: nothing is replaced */
	struct rewrite_rules *rules;
};

bool generic_load(struct smtp *s, struct generic *out, struct err *err) MUST_CHECK;

/* An address in internal form; *out is the same where no table has it. False (ERR_TEMP)
 * with a line for the log. A value of more addresses than one is named in *warning_out
 * (empty: none); the first counts. */
bool generic_address(const struct generic *g, struct arena *mem, struct str address,
		     struct str *out, struct str *warning_out,
		     struct err *err) MUST_CHECK;

/* The addresses of a header field, if it is one of addresses. text: lines separated by
 * newlines; *text becomes the new one, in mem. */
bool generic_header(struct smtp *s, const struct generic *g, struct arena *mem,
		    const struct header_name *row, struct str *text,
		    struct err *err) MUST_CHECK;
