/* SPDX-License-Identifier: Apache-2.0 */
#include "config/master_cf.h"

#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/io.h"
#include "config/lines.h"
#include "config/value.h"

enum { FILE_BYTES_MAX = 1048576, NOTES_MAX = 1000 };

struct parser {
	struct arena *mem;
	const char *file;
	int default_limit;
	bool default_chroot;
	struct master_services *out;
	struct master_notes notes;
	struct err *err;
};

static bool
fail(struct parser *p, const struct master_service *s, const char *text, struct str value)
{
	return err_set(p->err, ERR_CONFIG, "%s: line %u: %s: " PRI_STR, p->file, s->line,
		       text, STR_ARG(value));
}

static bool
fail_fault(struct parser *p, unsigned line, const struct master_fault *fault)
{
	switch (fault->kind) {
	case MASTER_FAULT_COUNT:
		return err_set(p->err, ERR_CONFIG, "%s: line %u: bad field count",
			       p->file, line);
	case MASTER_FAULT_TOO_MANY:
		return err_set(p->err, ERR_CONFIG, "%s: line %u: more than %d arguments",
			       p->file, line, MASTER_ARGS_MAX);
	case MASTER_FAULT_NUL:
		return err_set(p->err, ERR_CONFIG, "%s: line %u: NUL byte in text",
			       p->file, line);
	case MASTER_FAULT_FIELD:
		break;
	}
	if (fault->field == MASTER_FIELD_TYPE)
		return err_set(p->err, ERR_CONFIG,
			       "%s: line %u: bad transport type: " PRI_STR, p->file, line,
			       STR_ARG(fault->value));
	return err_set(p->err, ERR_CONFIG,
		       "%s: line %u: field \"%s\": bad value: \"" PRI_STR "\"", p->file,
		       line, master_field_name(fault->field), STR_ARG(fault->value));
}

static bool
yes(struct str v, bool otherwise)
{
	return str_eq(v, STR("-")) ? otherwise : str_eq(v, STR("y"));
}

/* The form was checked: a number or "-". */
static int
number(struct str v, int otherwise)
{
	int64_t n;

	return str_to_i64(v, 0, INT32_MAX, &n) ? (int)n : otherwise;
}

/* [host]:port, host:port, port. */
static bool
split_inet(struct parser *p, struct master_service *s)
{
	size_t colon = str_rindex(s->name, ':');

	s->host = STR_EMPTY;
	s->port = s->name;
	if (colon < s->name.len) {
		s->host = str_head(s->name, colon);
		s->port = str_skip(s->name, colon + 1);
		if (str_starts(s->host, STR("[")) && str_ends(s->host, STR("]")))
			s->host = str_skip(str_head(s->host, s->host.len - 1), 1);
		else if (str_contains(s->host, ':'))
			return fail(p, s, "an IPv6 address needs [ ]", s->name);
	}
	if (s->port.len == 0)
		return fail(p, s, "missing port", s->name);
	return true;
}

static bool
take_columns(struct parser *p, struct master_service *s)
{
	struct str wakeup = s->field[MASTER_FIELD_WAKEUP];

	IGNORE(!master_type_parse(s->field[MASTER_FIELD_TYPE], &s->type));
	s->name = s->field[MASTER_FIELD_SERVICE];
	s->host = STR_EMPTY;
	s->port = STR_EMPTY;
	s->is_private = yes(s->field[MASTER_FIELD_PRIVATE], true);
	s->unprivileged = yes(s->field[MASTER_FIELD_UNPRIVILEGED], true);
	s->chroot = yes(s->field[MASTER_FIELD_CHROOT], p->default_chroot);
	s->wakeup_if_used = str_ends(wakeup, STR("?"));
	if (s->wakeup_if_used)
		wakeup = str_head(wakeup, wakeup.len - 1);
	s->wakeup_s = number(wakeup, 0);
	s->process_limit = number(s->field[MASTER_FIELD_PROCESS_LIMIT], p->default_limit);
	s->command = s->field[MASTER_FIELD_COMMAND];
	if (str_contains(s->command, '/'))
		return fail(p, s, "the command must be a name in daemon_directory",
			    s->command);
	if (s->type != MASTER_INET) {
		/* The name becomes a socket below public/ or private/. */
		if (str_starts(s->name, STR("/")) ||
		    str_find(s->name, STR("..")) < s->name.len)
			return fail(p, s, "bad service name", s->name);
		return true;
	}
	if (s->is_private)
		return fail(p, s, "inet service cannot be private", s->name);
	return split_inet(p, s);
}

static void
add_override(struct master_service *s, struct str name, struct str value)
{
	for (size_t i = 0; i < s->override_count; i++) {
		if (str_eq(s->overrides[i].name, name)) {
			s->overrides[i].value = value;
			return;
		}
	}
	s->overrides[s->override_count++] = (struct config_override){name, value};
}

/* The arguments without braces, and what the options among them say. */
static bool
take_args(struct parser *p, const struct master_entry *e, struct master_service *s)
{
	bool options = true, value_next = false;

	s->args = arena_alloc_array(p->mem, e->arg_count + 1, sizeof(struct str));
	s->overrides = arena_alloc_array(p->mem, e->arg_count + 1,
					 sizeof(struct config_override));
	s->arg_count = e->arg_count;
	for (size_t i = 0; i < e->arg_count; i++) {
		struct str arg = e->args[i], name, value;
		const char *why;

		if (str_starts(arg, STR("{")))
			IGNORE(!list_unbrace(arg, &arg, &why));
		s->args[i] = arg;
		options = options && (value_next || str_starts(arg, STR("-")));
		if (!options)
			continue;
		if (value_next) {
			if (!master_entry_setting(e, i, &name, &value))
				return fail(p, s, "missing name= or '=' after -o", arg);
			add_override(s, name, value);
			value_next = false;
		} else if (str_starts(arg, STR("-v"))) {
			s->verbose += (unsigned)arg.len - 1;
		} else if (str_eq(arg, STR("-D"))) {
			s->debug = true;
		} else {
			value_next = str_eq(arg, STR("-o"));
		}
	}
	if (value_next)
		return fail(p, s, "-o needs an argument", s->command);
	return true;
}

static void
add_service(struct parser *p, const struct master_service *s)
{
	for (size_t i = 0; i < p->out->count; i++) {
		struct master_service *old = &p->out->at[i];

		if (old->type != s->type || !str_eq(old->name, s->name))
			continue;
		if (p->notes.count < p->notes.size)
			p->notes.at[p->notes.count++] = str_printf(
				p->mem,
				"%s: line %u: duplicate master.cf entry for service "
				"\"" PRI_STR "\" (type %s) -- using the last entry",
				p->file, s->line, STR_ARG(s->name),
				master_type_name(s->type));
		*old = *s;
		return;
	}
	p->out->at[p->out->count++] = *s;
}

static bool
take_line(struct parser *p, const struct lines_item *line)
{
	struct master_entry *e = ARENA_NEW(p->mem, struct master_entry);
	struct master_service s = {.line = line->first};
	struct master_fault fault;
	size_t before = p->notes.count;

	if (p->out->count == MASTER_ENTRIES_MAX)
		return err_set(p->err, ERR_CONFIG, "%s: line %u: more than %d services",
			       p->file, line->first, MASTER_ENTRIES_MAX);
	if (!master_entry_parse(p->mem, line->text, line->first, e, &p->notes, &fault))
		return fail_fault(p, line->first, &fault);
	/* What postconf bears with a warning is an error for the one who starts it. */
	if (p->notes.count > before)
		return err_set(p->err, ERR_CONFIG, "%s: line %u: " PRI_STR, p->file,
			       line->first, STR_ARG(p->notes.at[before]));
	memcpy(s.field, e->field, sizeof(s.field));
	if (!take_columns(p, &s) || !take_args(p, e, &s))
		return false;
	add_service(p, &s);
	return true;
}

bool
master_cf_parse(struct arena *mem, const struct config *cfg, struct str text,
		const char *file, struct master_services *out, struct err *err)
{
	struct master_services result = {.file = arena_strdup(mem, file)};
	struct parser p = {.mem = mem, .file = file, .out = &result, .err = err};
	struct lines at = lines_start(text);
	struct lines_item line;
	struct str level;
	int64_t limit;
	int way = 0;

	if (!config_get_int(cfg, STR("default_process_limit"), &limit, err) ||
	    !config_get(mem, cfg, STR("compatibility_level"), &level, err))
		return false;
	if (!config_level_compare(level, STR("1"), &way))
		return err_set(err, ERR_CONFIG,
			       "malformed compatibility level syntax: \"" PRI_STR "\"",
			       STR_ARG(level));
	p.default_chroot = way < 0;
	p.default_limit = (int)MIN_OF(limit, (int64_t)INT32_MAX);
	p.notes.at = arena_alloc_array(mem, NOTES_MAX, sizeof(struct str));
	p.notes.size = NOTES_MAX;
	result.at =
		arena_alloc_array(mem, MASTER_ENTRIES_MAX, sizeof(struct master_service));
	while (lines_next(mem, &at, &line)) {
		if (line.kind == LINES_STRAY && p.notes.count < p.notes.size)
			p.notes.at[p.notes.count++] =
				str_printf(mem,
					   "%s: logical line must not start with "
					   "whitespace: \"" PRI_STR "\"",
					   file, STR_ARG(line.text));
		if (line.kind == LINES_TEXT && !take_line(&p, &line))
			return false;
	}
	result.warnings = p.notes.at;
	result.warning_count = p.notes.count;
	*out = result;
	return true;
}

bool
master_cf_load(struct arena *mem, const struct config *cfg, struct master_services *out,
	       struct err *err)
{
	struct str text;
	const char *file = str_printf(mem, "%s/master.cf", config_dir(cfg)).p;

	if (!io_read_file(mem, AT_FDCWD, file, FILE_BYTES_MAX, &text, err)) {
		err->kind = ERR_CONFIG;
		return false;
	}
	return master_cf_parse(mem, cfg, text, file, out, err);
}

const struct master_service *
master_cf_find(const struct master_services *services, struct str name,
	       enum master_type type)
{
	for (size_t i = 0; i < services->count; i++) {
		if (services->at[i].type == type && str_eq(services->at[i].name, name))
			return &services->at[i];
	}
	return NULL;
}

/* A pattern is NAME/TYPE, and a bare word is a type (inet) or a name with all types. */
static bool
pattern_matches(struct str pattern, const struct master_service *s)
{
	struct str name, type;
	struct str own = str_from(master_type_name(s->type));

	if (str_split(pattern, '/', &name, &type))
		return str_ieq(name, s->name) && str_ieq(type, own);
	return str_ieq(pattern, own) || str_ieq(pattern, s->name);
}

bool
master_cf_disabled(struct str list, const struct master_service *service)
{
	struct str item;

	while (list_next(&list, &item)) {
		bool negated = str_starts(item, STR("!"));

		if (pattern_matches(negated ? str_skip(item, 1) : item, service))
			return !negated;
	}
	return false;
}
