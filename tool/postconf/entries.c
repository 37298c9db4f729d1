/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include <fcntl.h>

#include "base/arena.h"
#include "base/io.h"
#include "config/lines.h"

enum { FILE_BYTES_MAX = 1048576, NOTES_MAX = 1000 };

bool
entries_fault(const struct master_fault *fault, const char *file, unsigned line,
	      struct str text, struct err *err)
{
	switch (fault->kind) {
	case MASTER_FAULT_COUNT:
		if (line == 0)
			return err_set(err, ERR_CONFIG,
				       "bad field count: \"" PRI_STR "\"", STR_ARG(text));
		return err_set(err, ERR_CONFIG, "file %s: line %u: bad field count", file,
			       line);
	case MASTER_FAULT_TOO_MANY:
		return err_set(err, ERR_CONFIG,
			       "file %s: line %u: more than %d arguments", file, line,
			       MASTER_ARGS_MAX);
	case MASTER_FAULT_NUL:
		return err_set(err, ERR_CONFIG, "file %s: line %u: NUL byte in text",
			       file, line);
	case MASTER_FAULT_FIELD:
		break;
	}
	return err_set(
		err, ERR_CONFIG, "invalid %s field \"" PRI_STR "\" in \"" PRI_STR "\"",
		master_field_name(fault->field), STR_ARG(fault->value), STR_ARG(text));
}

bool
entries_load(struct arena *mem, const struct config *cfg, struct entries *out,
	     struct err *err)
{
	struct str text;
	struct lines at;
	struct lines_item line;
	size_t before;

	*out = (struct entries){
		.file = str_printf(mem, "%s/master.cf", config_dir(cfg)).p};
	out->notes.at = arena_alloc_array(mem, NOTES_MAX, sizeof(struct str));
	out->notes.size = NOTES_MAX;
	out->at = arena_alloc_array(mem, MASTER_ENTRIES_MAX, sizeof(*out->at));
	if (!io_read_file(mem, AT_FDCWD, out->file, FILE_BYTES_MAX, &text, err))
		return false;
	at = lines_start(text);
	while (lines_next(mem, &at, &line)) {
		struct master_entry *e;
		struct master_fault fault;

		if (line.kind == LINES_STRAY && out->notes.count < NOTES_MAX)
			out->notes.at[out->notes.count++] = str_printf(
				mem,
				"%s: logical line must not start with whitespace: "
				"\"" PRI_STR "\"",
				out->file, STR_ARG(line.text));
		if (line.kind != LINES_TEXT)
			continue;
		if (out->count == MASTER_ENTRIES_MAX)
			return err_set(err, ERR_CONFIG,
				       "file %s: line %u: more than %d services",
				       out->file, line.first, MASTER_ENTRIES_MAX);
		e = ARENA_NEW(mem, struct master_entry);
		before = out->notes.count;
		if (!master_entry_parse(mem, line.text, line.first, e, &out->notes,
					&fault))
			return entries_fault(&fault, out->file, line.first, line.text,
					     err);
		for (size_t i = before; i < out->notes.count; i++)
			out->notes.at[i] = str_printf(mem, "master.cf: " PRI_STR,
						      STR_ARG(out->notes.at[i]));
		out->at[out->count++] = e;
	}
	return true;
}

static bool
part_matches(struct str pattern, struct str text)
{
	return str_eq(pattern, STR("*")) || str_eq(pattern, text);
}

bool
entry_matches(const struct master_entry *entry, struct str request, struct str *rest_out)
{
	struct str name = request, type = STR("*"), rest = STR_EMPTY;

	if (str_split(request, '/', &name, &type))
		IGNORE(!str_split(type, '/', &type, &rest));
	*rest_out = rest;
	return part_matches(name, entry->field[MASTER_FIELD_SERVICE]) &&
	       part_matches(type, entry->field[MASTER_FIELD_TYPE]);
}
