/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.cf and master.cf on any bytes: logical lines put together again are the file, an
 * entry of master.cf that was understood is understood again as it is printed, expansion
 * ends, and an edited file has the setting.
 */
#include <string.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/panic.h"
#include "config/edit.h"
#include "config/expand.h"
#include "config/lines.h"
#include "config/master_entry.h"
#include "config/value.h"
#include "fuzz.h"

enum { NOTES = 100 };

static enum expand_found
variables(void *closure, struct str name, struct str *out)
{
	*out = *(struct str *)closure;
	return name.len == 1 ? EXPAND_RECURSE : EXPAND_UNKNOWN;
}

static void
expand(struct str text)
{
	struct buf out;
	struct err err;

	buf_init(&out, EXPAND_BYTES_MAX);
	IGNORE(!expand_text(text, variables, &text, &out, &err));
	ensure(out.len <= EXPAND_BYTES_MAX);
	buf_release(&out);
}

static void
entry(struct arena *mem, struct str text)
{
	struct master_entry *e = ARENA_NEW(mem, struct master_entry);
	struct master_entry *again = ARENA_NEW(mem, struct master_entry);
	struct str noted[NOTES];
	struct master_notes notes = {.at = noted, .size = NOTES};
	struct master_fault fault;
	struct str printed;

	if (!master_entry_parse(mem, text, 1, e, &notes, &fault))
		return;
	printed = master_entry_format(mem, e, false);
	/* A word of the daemon's own arguments may end in an open brace. */
	if (notes.count > 0 || str_contains(text, '{') || str_contains(text, '}'))
		return;
	ensure(master_entry_parse(mem, printed, 1, again, NULL, &fault));
	ensure(again->arg_count == e->arg_count);
	ensure(str_eq(printed, master_entry_format(mem, again, false)));
}

static void
edit(struct arena *mem, struct str file)
{
	const struct config_override item = {STR("a"), STR("1")};
	struct edit_notes notes = {.file = "f"};
	struct str out, twice;
	struct err err;

	if (!edit_main(mem, file, EDIT_SET, &item, 1, &out, &notes, &err))
		return;
	ensure(str_find(out, STR("a = 1\n")) < out.len);
	ensure(edit_main(mem, out, EDIT_SET, &item, 1, &twice, &notes, &err));
	ensure(str_eq(out, twice));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct str file = str_from_mem(data, size), rest = file, item;
	struct lines at = lines_start(file);
	struct lines_item line;
	size_t bytes = 0;

	while (lines_next(mem, &at, &line)) {
		bytes += line.raw.len;
		if (line.kind == LINES_TEXT)
			entry(mem, line.text);
	}
	ensure(bytes == size);
	while (list_next(&rest, &item))
		ensure(item.len > 0);
	expand(file);
	edit(mem, file);
	arena_free(&mem);
	return 0;
}
