/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.cf: a request names an entry and with -F a column, with -P a parameter of it.
 * Entries that a request changes are written anew, in columns; all else stays as it is.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "change.h"
#include "config/lines.h"
#include "entries.h"

enum { FILE_BYTES_MAX = 1048576 };

struct request {
	const char *arg;
	struct str service; /* pattern */
	struct str type;
	struct str last; /* -F: column, -P: parameter */
	struct str value;
	enum master_field field;
	struct master_entry *entry; /* -Me */
	bool matched;
};

struct job {
	struct postconf *p;
	const char *path;
	enum edit_mode mode;
	struct request *requests;
	size_t count;
};

/* What a request must look like, by mode. */
static bool
bad_form(const struct job *j, struct err *err)
{
	const struct options *o = &j->p->options;

	return err_set(err, ERR_CONFIG, "%s",
		       option(o, 'M') ? "-Me, -MX or -M# requires service_name/type"
		       : option(o, 'F')
			       ? "-Fe or -FX requires service_name/type/field_name"
			       : "-Pe or -PX requires service_name/type/parameter");
}

static bool
parse_entry(const struct job *j, struct request *r, struct err *err)
{
	struct master_fault fault;

	r->entry = ARENA_NEW(j->p->mem, struct master_entry);
	if (!master_entry_parse(j->p->mem, r->value, 0, r->entry, NULL, &fault))
		return entries_fault(&fault, j->path, 0,
				     fault.kind == MASTER_FAULT_COUNT ? str_from(r->arg)
								      : r->value,
				     err);
	return true;
}

static bool
parse_request(const struct job *j, const char *arg, struct request *r, struct err *err)
{
	const struct options *o = &j->p->options;
	struct str key = str_trim(str_from(arg)), rest = STR_EMPTY;

	r->arg = arg;
	if (str_contains(key, '\n'))
		return err_set(err, ERR_CONFIG,
			       "-e, -X, or -# accepts no multi-line input");
	if (j->mode == EDIT_SET) {
		if (!str_split(key, '=', &key, &r->value))
			return err_set(err, ERR_CONFIG,
				       "missing '=' after attribute name: \"%s\"", arg);
		key = str_trim(key);
		r->value = str_trim(r->value);
	}
	if (!str_split(key, '/', &r->service, &rest) || r->service.len == 0)
		return bad_form(j, err);
	r->type = rest;
	if (str_split(rest, '/', &r->type, &r->last) == option(o, 'M') ||
	    r->type.len == 0 || (!option(o, 'M') && r->last.len == 0))
		return bad_form(j, err);
	if (option(o, 'F') && !master_field_parse(r->last, &r->field))
		return err_set(err, ERR_CONFIG,
			       "invalid service attribute name: \"" PRI_STR "\"",
			       STR_ARG(r->last));
	if (option(o, 'P') && str_index_any(r->value, " \t") < r->value.len)
		return err_set(err, ERR_CONFIG,
			       "-Pe does not accept whitespace in parameter value");
	return !option(o, 'M') || j->mode != EDIT_SET || parse_entry(j, r, err);
}

static bool
applies(const struct request *r, const struct master_entry *e)
{
	return (str_eq(r->service, STR("*")) ||
		str_eq(r->service, e->field[MASTER_FIELD_SERVICE])) &&
	       (str_eq(r->type, STR("*")) ||
		str_eq(r->type, e->field[MASTER_FIELD_TYPE]));
}

/* Change the entry as one request of -F or -P says. */
static bool
apply_request(struct job *j, struct request *r, struct master_entry *e, bool *changed,
	      struct err *err)
{
	struct master_fault fault;

	if (option(&j->p->options, 'F')) {
		*changed = true;
		return master_entry_set_field(j->p->mem, e, r->field, r->value, NULL,
					      &fault) ||
		       entries_fault(&fault, j->path, 0, r->value, err);
	}
	if (j->mode == EDIT_SET) {
		*changed = true;
		return master_entry_set(j->p->mem, e, r->last, r->value, err);
	}
	if (master_entry_unset(e, r->last))
		*changed = true;
	return true;
}

enum outcome { ENTRY_KEPT, ENTRY_CHANGED, ENTRY_REMOVED };

static bool
apply_requests(struct job *j, struct master_entry *e, enum outcome *outcome,
	       struct err *err)
{
	const struct master_entry before = *e;
	bool changed = false;

	*outcome = ENTRY_KEPT;
	for (size_t i = 0; i < j->count; i++) {
		struct request *r = &j->requests[i];

		if (!applies(r, &before))
			continue;
		r->matched = true;
		if (option(&j->p->options, 'M')) {
			*outcome = j->mode == EDIT_SET ? ENTRY_CHANGED : ENTRY_REMOVED;
			if (j->mode == EDIT_SET)
				*e = *r->entry;
		} else if (!apply_request(j, r, e, &changed, err)) {
			return false;
		}
	}
	if (changed)
		*outcome = ENTRY_CHANGED;
	return true;
}

/* The comment and empty lines among an entry's lines stay; with all, its own lines too,
 * as comments. */
static void
write_rest(struct buf *out, struct str raw, bool comment_out)
{
	while (raw.len > 0) {
		struct str line =
			str_head(raw, MIN_OF(str_index(raw, '\n') + 1, raw.len));
		struct str text = str_trim(line);

		raw = str_skip(raw, line.len);
		if (text.len == 0 || *text.p == '#') {
			buf_add(out, line);
		} else if (comment_out) {
			buf_add_char(out, '#');
			buf_add(out, line);
		}
	}
}

static void
write_entry(struct job *j, struct buf *out, const struct master_entry *e)
{
	buf_add(out, master_entry_format(j->p->mem, e, true));
	buf_add_char(out, '\n');
}

static bool
change_line(struct job *j, const struct lines_item *line, struct buf *out,
	    struct err *err)
{
	struct master_entry *e = ARENA_NEW(j->p->mem, struct master_entry);
	struct master_fault fault;
	enum outcome outcome;

	if (!master_entry_parse(j->p->mem, line->text, line->first, e, NULL, &fault))
		return entries_fault(&fault, j->path, line->first, line->text, err);
	if (!apply_requests(j, e, &outcome, err))
		return false;
	switch (outcome) {
	case ENTRY_KEPT:
		buf_add(out, line->raw);
		break;
	case ENTRY_CHANGED:
		write_entry(j, out, e);
		write_rest(out, line->raw, false);
		break;
	case ENTRY_REMOVED:
		write_rest(out, line->raw, j->mode == EDIT_COMMENT);
		break;
	}
	return true;
}

static bool
change_text(struct arena *mem, struct str old, struct str *out_text, void *closure,
	    struct err *err)
{
	struct job *j = closure;
	struct buf *out = buf_new(mem, FILE_BYTES_MAX);
	struct lines at = lines_start(old);
	struct lines_item line;

	while (lines_next(mem, &at, &line)) {
		if (line.kind != LINES_TEXT)
			buf_add(out, line.raw);
		else if (!change_line(j, &line, out, err))
			return false;
	}
	if (out->len > 0 && out->p[out->len - 1] != '\n')
		buf_add_char(out, '\n');
	for (size_t i = 0; i < j->count; i++) {
		const struct request *r = &j->requests[i];

		if (r->matched || j->mode != EDIT_SET)
			continue;
		if (r->entry != NULL)
			write_entry(j, out, r->entry);
		else
			log_warning(j->p->log, "unmatched service_name/type: \"%s\"",
				    r->arg);
	}
	*out_text = buf_str(out);
	return buf_ok(out) || err_set(err, ERR_CONFIG, "%s: larger than %d bytes",
				      j->path, FILE_BYTES_MAX);
}

bool
change_master(struct postconf *p, struct err *err)
{
	struct job j = {.p = p,
			.path = change_path(p, "master.cf"),
			.mode = change_mode(&p->options),
			.count = p->options.arg_count};

	if (j.count == 0)
		return err_set(err, ERR_CONFIG, "missing service argument");
	if (option(&p->options, 'F') && j.mode != EDIT_SET)
		return err_set(err, ERR_CONFIG,
			       "with option -F, do not specify -X or -#: a column "
			       "cannot be removed");
	if (option(&p->options, 'P') && j.mode == EDIT_COMMENT)
		return err_set(err, ERR_CONFIG, "with option -P, do not specify -#");
	j.requests = arena_alloc_array(p->mem, j.count, sizeof(*j.requests));
	for (size_t i = 0; i < j.count; i++) {
		if (!parse_request(&j, p->options.args[i], &j.requests[i], err))
			return false;
	}
	return edit_file(p->mem, j.path, change_text, &j, err);
}
