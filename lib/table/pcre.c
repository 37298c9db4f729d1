/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcre: Perl's regular expressions, by libpcre2.
 *
 * The patterns are the administrator's, what they are matched against is anybody's: a
 * pattern that can be made to run very long ends at a limit, and the look-up fails. Its
 * machine code generator is not used, because a sandbox forbids memory that is code.
 * Characters are bytes, also with smtputf8_enable, as they are in Postfix: "." matches
 * half of a letter with an accent.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "table/patterns_internal.h"

enum {
	/* Steps of one match: about 0.1 s at most. */
	MATCH_STEPS_MAX = 1000000,
	MATCH_HEAP_KIB_MAX = 20000,
};

static const struct library library = {
	.soname = "libpcre2-8.so.0",
	.package = "libpcre2-8-0",
};

#define FUNCTIONS(F)                                                                     \
	F(pcre2_compile_8)                                                               \
	F(pcre2_code_free_8)                                                             \
	F(pcre2_get_error_message_8)                                                     \
	F(pcre2_get_ovector_pointer_8)                                                   \
	F(pcre2_match_8)                                                                 \
	F(pcre2_match_context_create_8)                                                  \
	F(pcre2_match_context_free_8)                                                    \
	F(pcre2_match_data_create_8)                                                     \
	F(pcre2_match_data_free_8)                                                       \
	F(pcre2_pattern_info_8)                                                          \
	F(pcre2_set_heap_limit_8)                                                        \
	F(pcre2_set_match_limit_8)

struct functions {
	FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {FUNCTIONS(LIBRARY_NAME)};

struct state {
	struct functions f;
	pcre2_match_context_8 *limits;
	pcre2_match_data_8 *match;
};

/* What is to be freed, and by which function. */
struct compiled {
	const struct state *state;
	pcre2_code_8 *code;
};

static void
free_state(void *p)
{
	struct state *s = p;

	s->f.pcre2_match_data_free_8(s->match);
	s->f.pcre2_match_context_free_8(s->limits);
}

static void
free_compiled(void *p)
{
	struct compiled *c = p;

	c->state->f.pcre2_code_free_8(c->code);
}

static bool
pcre_start(struct table *t, struct arena *mem, void **state_out, struct err *err)
{
	struct state *s = ARENA_NEW(mem, struct state);

	if (!library_functions(&library, names, ARRAY_LEN(names), &s->f, sizeof(s->f),
			       err))
		return false;
	s->limits = s->f.pcre2_match_context_create_8(NULL);
	s->match = s->f.pcre2_match_data_create_8(PATTERN_GROUPS_MAX, NULL);
	arena_defer(mem, free_state, s);
	if (s->limits == NULL || s->match == NULL)
		return err_set(err, ERR_TEMP, "%s: no memory for patterns", t->name);
	s->f.pcre2_set_match_limit_8(s->limits, MATCH_STEPS_MAX);
	s->f.pcre2_set_heap_limit_8(s->limits, MATCH_HEAP_KIB_MAX);
	*state_out = s;
	return true;
}

static bool
pcre_compile(void *state, struct arena *mem, struct str text, int flags,
	     void **pattern_out, size_t *n_groups_out, struct err *why)
{
	struct state *s = state;
	struct compiled *c = ARENA_NEW(mem, struct compiled);
	PCRE2_UCHAR8 complaint[200];
	PCRE2_SIZE at;
	uint32_t n;
	int rc;

	c->state = s;
	c->code = s->f.pcre2_compile_8((PCRE2_SPTR8)text.p, text.len, (uint32_t)flags,
				       &rc, &at, NULL);
	if (c->code == NULL) {
		s->f.pcre2_get_error_message_8(rc, complaint, sizeof(complaint));
		return err_set(why, ERR_CONFIG, "error in regex at offset %zu: %s", at,
			       complaint);
	}
	arena_defer(mem, free_compiled, c);
	if (s->f.pcre2_pattern_info_8(c->code, PCRE2_INFO_CAPTURECOUNT, &n) != 0)
		return err_set(why, ERR_CONFIG, "its groups cannot be counted");
	*pattern_out = c;
	*n_groups_out = n;
	return true;
}

static void
take_groups(const struct state *s, size_t n, struct span *groups)
{
	const PCRE2_SIZE *ends = s->f.pcre2_get_ovector_pointer_8(s->match);

	for (size_t i = 0; i < PATTERN_GROUPS_MAX; i++) {
		size_t begin = ends[2 * i];
		size_t end = ends[2 * i + 1];

		/* A pattern may move the beginning behind the end (\K). */
		if (i < n && begin != PCRE2_UNSET && begin <= end)
			groups[i] = (struct span){begin, end - begin};
		else
			groups[i] = (struct span){0, 0};
	}
}

static enum pattern_match
pcre_match(void *state, void *pattern, struct str key, struct span *groups,
	   struct err *err)
{
	struct state *s = state;
	const struct compiled *c = pattern;
	PCRE2_UCHAR8 complaint[200];
	int rc = s->f.pcre2_match_8(c->code, (PCRE2_SPTR8)key.p, key.len, 0, 0, s->match,
				    s->limits);

	if (rc == PCRE2_ERROR_NOMATCH)
		return PATTERN_DIFFERS;
	if (rc < 0) {
		s->f.pcre2_get_error_message_8(rc, complaint, sizeof(complaint));
		err_set(err, ERR_TEMP, "%s", complaint);
		return PATTERN_FAILED;
	}
	if (groups != NULL)
		/* 0: more groups matched than are kept. */
		take_groups(s, rc == 0 ? PATTERN_GROUPS_MAX : (size_t)rc, groups);
	return PATTERN_MATCHES;
}

static const struct pattern_flag flags[] = {
	{'i', (int)PCRE2_CASELESS},
	{'m', (int)PCRE2_MULTILINE},
	{'s', (int)PCRE2_DOTALL},
	{'x', (int)PCRE2_EXTENDED},
	{'A', (int)PCRE2_ANCHORED},
	{'E', (int)PCRE2_DOLLAR_ENDONLY},
	{'U', (int)PCRE2_UNGREEDY},
	{'X', 0},
	{'\0', 0},
};

static const struct pattern_engine engine = {
	.skipping = "ignoring",
	.flags = flags,
	.default_flags = (int)(PCRE2_CASELESS | PCRE2_DOTALL),
	.start = pcre_start,
	.compile = pcre_compile,
	.match = pcre_match,
};

static bool
load(struct table *t, struct arena *mem, struct text_rules *lines, void **data_out,
     struct err *err)
{
	return patterns_load(t, &engine, mem, lines, data_out, err);
}

static bool
pcre_open(struct table *t, struct str name, struct err *err)
{
	return text_open(t, name, true, load, err);
}

const struct table_type table_type_pcre = {
	.name = "pcre",
	.is_pattern = true,
	.library = &library,
	.open = pcre_open,
	.lookup = patterns_lookup,
};
