/* SPDX-License-Identifier: Apache-2.0 */
/* regexp: POSIX regular expressions. */
#include <regex.h>

#include "table/patterns_internal.h"

static bool
posix_start(struct table *t UNUSED, struct arena *mem UNUSED, void **state_out,
	    struct err *err UNUSED)
{
	*state_out = NULL;
	return true;
}

static void
free_pattern(void *p)
{
	regfree(p);
}

static bool
posix_compile(void *state UNUSED, struct arena *mem, struct str text, int flags,
	      void **pattern_out, size_t *n_groups_out, struct err *why)
{
	regex_t *pattern = ARENA_NEW(mem, regex_t);
	int rc = regcomp(pattern, str_c(mem, text), flags);
	char complaint[200];

	if (rc != 0) {
		regerror(rc, pattern, complaint, sizeof(complaint));
		return err_set(why, ERR_CONFIG, "%s", complaint);
	}
	arena_defer(mem, free_pattern, pattern);
	*pattern_out = pattern;
	*n_groups_out = pattern->re_nsub;
	return true;
}

static enum pattern_match
posix_match(void *state UNUSED, void *pattern, struct str key, struct span *groups,
	    struct err *err)
{
	regmatch_t found[PATTERN_GROUPS_MAX];
	int rc = regexec(pattern, key.p, groups != NULL ? ARRAY_LEN(found) : 0, found, 0);

	if (rc == REG_NOMATCH)
		return PATTERN_DIFFERS;
	if (rc != 0) {
		err_set(err, ERR_TEMP, "no memory for this expression");
		return PATTERN_FAILED;
	}
	for (size_t i = 0; groups != NULL && i < ARRAY_LEN(found); i++) {
		regmatch_t *f = &found[i];

		groups[i] = f->rm_so < 0 ? (struct span){0, 0}
					 : (struct span){(size_t)f->rm_so,
							 (size_t)(f->rm_eo - f->rm_so)};
	}
	return PATTERN_MATCHES;
}

static const struct pattern_flag flags[] = {
	{'i', REG_ICASE}, {'m', REG_NEWLINE}, {'x', REG_EXTENDED}, {'\0', 0}};

static const struct pattern_engine engine = {
	.skipping = "skipping",
	.flags = flags,
	.default_flags = REG_EXTENDED | REG_ICASE,
	.start = posix_start,
	.compile = posix_compile,
	.match = posix_match,
};

static bool
load(struct table *t, struct arena *mem, struct text_rules *lines, void **data_out,
     struct err *err)
{
	return patterns_load(t, &engine, mem, lines, data_out, err);
}

static bool
regexp_open(struct table *t, struct str name, struct err *err)
{
	return text_open(t, name, true, load, err);
}

const struct table_type table_type_regexp = {
	.name = "regexp",
	.is_pattern = true,
	.open = regexp_open,
	.lookup = patterns_lookup,
};
