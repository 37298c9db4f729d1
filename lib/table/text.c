/* SPDX-License-Identifier: Apache-2.0 */
#include "table/text_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sys.h"

#include "config/value.h"

/* A file that changes while it is read is read again this often. */
enum { READ_ATTEMPTS = 5 };

bool
text_rules_next(struct text_rules *r, struct source_line *line_out)
{
	struct str item;
	const char *why;

	if (!r->is_inline)
		return source_lines_next(&r->lines, line_out);
	if (!list_next(&r->braces, &item))
		return false;
	*line_out = (struct source_line){.first = ++r->n_inline, .last = r->n_inline};
	/* text_open() looked at the braces. */
	if (!list_unbrace(item, &line_out->text, &why))
		line_out->text = item;
	return true;
}

static bool
check_inline(struct table *t, struct str text, struct err *err)
{
	struct str item;
	struct str inner;
	const char *why;

	while (list_next(&text, &item)) {
		if (!list_unbrace(item, &inner, &why))
			return err_set(err, ERR_CONFIG, "%s map: %s in \"" PRI_STR "\"",
				       t->type->name, why, STR_ARG(item));
	}
	return true;
}

/* The file's text together with the identity it had before and after. */
static bool
read_stable(struct arena *mem, const struct text_file *f, struct str *text_out,
	    struct file_id *id_out, struct err *err)
{
	for (int attempt = 1;; attempt++) {
		struct stat before, after;
		struct str text;
		const char *path = f->path;
		int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
		bool ok;

		if (fd < 0)
			return err_errno(err, ERR_CONFIG, "open %s%s", f->noun, path);
		ok = sys_fstat(fd, &before) == 0;
		if (ok && S_ISDIR(before.st_mode)) {
			sys_close(fd);
			return err_set(err, ERR_CONFIG, "open %s%s: Is a directory",
				       f->noun, path);
		}
		ok = ok && io_read_all(mem, fd, SOURCE_FILE_MAX, path, &text, err);
		ok = ok && sys_fstat(fd, &after) == 0;
		sys_close(fd);
		if (!ok)
			return err->kind != ERR_NONE
				       ? false
				       : err_errno(err, ERR_TEMP, "read %s", path);
		if (file_id_same(file_id_of(&before), file_id_of(&after))) {
			*text_out = text;
			*id_out = file_id_of(&before);
			return true;
		}
		if (attempt == READ_ATTEMPTS)
			return err_set(err, ERR_TEMP, "%s changes while it is read",
				       path);
	}
}

/* Read the file into an arena of its own, which replaces the old one. */
static bool
load_file(struct table *t, struct text_file *f, struct err *err)
{
	struct arena *content = arena_new_child(t->mem);
	struct arena *raw = arena_new();
	struct text_rules rules = {0};
	struct str text;
	struct file_id id;
	void *data;
	bool ok;

	err->kind = ERR_NONE;
	ok = read_stable(raw, f, &text, &id, err);
	if (ok) {
		source_lines_init(&rules.lines, raw, text);
		ok = f->load(t, content, &rules, &data, err);
	}
	arena_free(&raw);
	if (!ok) {
		arena_free(&content);
		return false;
	}
	arena_free(&f->content);
	f->content = content;
	f->id = id;
	f->data = data;
	return true;
}

bool
text_open(struct table *t, struct str name, bool may_be_inline, text_load_fn load,
	  struct err *err)
{
	struct text_file *f = ARENA_NEW(t->mem, struct text_file);
	struct text_rules rules = {.is_inline = true};
	const char *why;

	t->state = f;
	f->load = load;
	f->noun = may_be_inline ? "" : "database ";
	if (!may_be_inline || name.p[0] != '{') {
		f->path = str_c(t->mem, name);
		return load_file(t, f, err);
	}
	if (!list_unbrace(name, &rules.braces, &why))
		return err_set(err, ERR_CONFIG, "%s map: %s in \"" PRI_STR "\"",
			       t->type->name, why, STR_ARG(name));
	if (!check_inline(t, rules.braces, err))
		return false;
	return load(t, t->mem, &rules, &f->data, err);
}

bool
text_current(struct table *t, void **data_out, struct err *err)
{
	struct text_file *f = t->state;

	if (f->path != NULL && file_id_changed(f->path, &f->id) &&
	    table_may_reopen(t, f->path) && !load_file(t, f, err))
		return false;
	*data_out = f->data;
	return true;
}

const char *
text_where(const struct table *t)
{
	const struct text_file *f = t->state;

	return f->path != NULL ? f->path : "inline";
}
