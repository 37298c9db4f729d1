/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The command line of postconf(1): one bit per option, and which go together.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/config.h"

struct arena;

#define OPTION_BIT(c)  (UINT64_C(1) << option_index(c))
/* Index of an option letter, for OPTION_BIT(). */
#define OPTION_LETTERS "aAbcCdeEfFhHjlmMnopPqtTvxX#"

enum class_bits { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4, CLASS_ALL = 7 };

struct options {
	uint64_t set;
	const char *dir; /* -c, or NULL */
	unsigned classes;
	struct config_override *overrides;
	size_t override_count;
	char **args;
	size_t arg_count;
};

unsigned option_index(char c);

/* Whether an option was given. */
bool option(const struct options *o, char c);

/* False with what Postfix says about it: "specify one of -d -n" ... */
bool options_parse(struct arena *mem, int argc, char **argv, struct options *out,
		   struct err *err) MUST_CHECK;
