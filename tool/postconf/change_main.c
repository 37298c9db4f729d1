/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "change.h"
#include "config/edit.h"

const char *
change_path(struct postconf *p, const char *file)
{
	const char *dir = p->options.dir;

	if (dir == NULL)
		dir = getenv("MAIL_CONFIG");
	return str_printf(p->mem, "%s/%s", dir == NULL ? HIKYAKU_CONFIG_DIR : dir, file)
		.p;
}

enum edit_mode
change_mode(const struct options *o)
{
	if (option(o, 'X'))
		return EDIT_REMOVE;
	return option(o, '#') ? EDIT_COMMENT : EDIT_SET;
}

struct request {
	struct postconf *p;
	const char *path;
	struct config_override *items;
	size_t count;
};

static bool
parse_item(struct postconf *p, const char *arg, struct config_override *out,
	   struct err *err)
{
	struct str text = str_trim(str_from(arg)), name, value;
	bool set = change_mode(&p->options) == EDIT_SET;

	if (str_contains(text, '\n'))
		return err_set(err, ERR_CONFIG,
			       "-e, -X, or -# accepts no multi-line input");
	if (!set) {
		if (text.len == 0)
			return err_set(err, ERR_CONFIG,
				       "-X or -# requires non-blank parameter names");
		*out = (struct config_override){text, STR_EMPTY};
		return true;
	}
	if (str_starts(text, STR("#")))
		return err_set(err, ERR_CONFIG, "-e does not accept comments: \"%s\"",
			       text.p);
	if (!str_split(text, '=', &name, &value))
		return err_set(err, ERR_CONFIG,
			       "missing '=' after attribute name: \"" PRI_STR "\"",
			       STR_ARG(text));
	name = str_trim(name);
	if (name.len == 0)
		return err_set(err, ERR_CONFIG, "missing attribute name: \"" PRI_STR "\"",
			       STR_ARG(text));
	if (str_index_any(name, " \t") < name.len)
		return err_set(err, ERR_CONFIG,
			       "missing '=' after attribute name: \"" PRI_STR "\"",
			       STR_ARG(text));
	*out = (struct config_override){name, str_trim(value)};
	return true;
}

static bool
apply(struct arena *mem, struct str old, struct str *out, void *closure, struct err *err)
{
	struct request *r = closure;
	struct edit_notes notes = {.file = r->path};

	if (!edit_main(mem, old, change_mode(&r->p->options), r->items, r->count, out,
		       &notes, err))
		return false;
	for (size_t i = 0; i < notes.count; i++)
		log_warning(r->p->log, PRI_STR, STR_ARG(notes.at[i]));
	return true;
}

bool
change_main(struct postconf *p, struct err *err)
{
	struct request r = {
		.p = p, .path = change_path(p, "main.cf"), .count = p->options.arg_count};

	if (r.count == 0)
		return err_set(err, ERR_CONFIG,
			       option(&p->options, 'e')
				       ? "-e requires name=value argument"
				       : "missing service argument");
	r.items = arena_alloc_array(p->mem, r.count, sizeof(*r.items));
	for (size_t i = 0; i < r.count; i++) {
		if (!parse_item(p, p->options.args[i], &r.items[i], err))
			return false;
	}
	return edit_file(p->mem, r.path, apply, &r, err);
}
