/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/macros.h"

void
finding_add(struct check *c, struct place place, struct str text, struct str advice)
{
	if (c->n_findings == FINDINGS_MAX || c->row_findings == FINDINGS_PER_ROW)
		return;
	c->row_findings++;
	c->findings[c->n_findings++] = (struct finding){.check = c->row,
							.level = c->level,
							.place = place,
							.text = text,
							.advice = advice};
}

struct place
place_setting(const struct check *c, const struct config_setting *s)
{
	return (struct place){.file = s->origin.file,
			      .line = s->origin.line,
			      .what = str_printf(c->mem, PRI_STR " = " PRI_STR,
						 STR_ARG(s->name), STR_ARG(s->value))};
}

struct place
place_parameter(const struct check *c, const char *name)
{
	struct config_origin origin = config_origin(c->config, str_from(name));
	bool from_file = origin.where == CONFIG_FROM_FILE;

	return (struct place){
		.file = from_file ? origin.file : config_file(c->config),
		.line = from_file ? origin.line : 0,
		.what = str_printf(c->mem, "%s = " PRI_STR "%s", name,
				   STR_ARG(config_get_raw(c->config, str_from(name))),
				   from_file ? "" : " (default)")};
}

struct place
place_service(const struct check *c, const struct master_service *s)
{
	return (struct place){.file = c->services.file,
			      .line = s->line,
			      .what = str_printf(c->mem, PRI_STR " " PRI_STR,
						 STR_ARG(s->name),
						 STR_ARG(s->field[MASTER_FIELD_TYPE]))};
}

struct place
place_file(const char *path)
{
	return (struct place){.file = path, .what = STR_EMPTY};
}

struct place
place_from_text(const struct check *c, struct str *text)
{
	static const char *const separators[] = {", line ", ": line "};

	for (size_t i = 0; i < ARRAY_LEN(separators); i++) {
		struct str sep = str_from(separators[i]);
		size_t at = str_find(*text, sep);
		struct str number, tail;
		const char *file;
		uint64_t line;

		if (at == text->len ||
		    !str_split(str_skip(*text, at + sep.len), ':', &number, &tail) ||
		    !str_to_u64(number, UINT32_MAX, &line))
			continue;
		file = str_c(c->mem, str_head(*text, at));
		*text = str_trim(tail);
		return (struct place){
			.file = file, .line = (unsigned)line, .what = STR_EMPTY};
	}
	return (struct place){.what = STR_EMPTY};
}

struct str
value_of(const struct check *c, const char *name)
{
	struct str value;
	struct err err;

	return config_get(c->mem, c->config, str_from(name), &value, &err) ? value
									   : STR_EMPTY;
}

const char *
path_join(const struct check *c, struct str dir, const char *name)
{
	return str_printf(c->mem, PRI_STR "/%s", STR_ARG(dir), name).p;
}
