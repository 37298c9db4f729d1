/* SPDX-License-Identifier: Apache-2.0 */
#include "config/master_entry.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/value.h"

static const char *const type_names[] = {
	[MASTER_INET] = "inet",
	[MASTER_UNIX] = "unix",
	[MASTER_UNIX_DGRAM] = "unix-dgram",
	[MASTER_FIFO] = "fifo",
	[MASTER_PASS] = "pass",
};

static const char *const field_names[MASTER_FIELD_COUNT] = {
	[MASTER_FIELD_SERVICE] = "service",
	[MASTER_FIELD_TYPE] = "type",
	[MASTER_FIELD_PRIVATE] = "private",
	[MASTER_FIELD_UNPRIVILEGED] = "unprivileged",
	[MASTER_FIELD_CHROOT] = "chroot",
	[MASTER_FIELD_WAKEUP] = "wakeup",
	[MASTER_FIELD_PROCESS_LIMIT] = "process_limit",
	[MASTER_FIELD_COMMAND] = "command",
};

enum { COLUMN_LIMIT = 80, INDENT = 4, ENTRY_BYTES_MAX = 1048576 };

const char *
master_type_name(enum master_type type)
{
	return type_names[type];
}

bool
master_type_parse(struct str s, enum master_type *out)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (str_eq(s, str_from(type_names[i]))) {
			*out = (enum master_type)i;
			return true;
		}
	}
	return false;
}

const char *
master_field_name(enum master_field field)
{
	return field_names[field];
}

bool
master_field_parse(struct str s, enum master_field *out)
{
	for (size_t i = 0; i < MASTER_FIELD_COUNT; i++) {
		if (str_eq(s, str_from(field_names[i]))) {
			*out = (enum master_field)i;
			return true;
		}
	}
	return false;
}

static void
note(struct master_notes *notes, struct str text)
{
	if (notes != NULL && notes->count < notes->size)
		notes->at[notes->count++] = text;
}

static bool
is_number(struct str s)
{
	int64_t n;

	return str_to_i64(s, 0, INT32_MAX, &n) && s.len > 0 && *s.p != '-';
}

static bool
field_is_good(enum master_field field, struct str v)
{
	enum master_type type;
	bool dash = str_eq(v, STR("-"));

	switch (field) {
	case MASTER_FIELD_TYPE:
		return master_type_parse(v, &type);
	case MASTER_FIELD_PRIVATE:
	case MASTER_FIELD_UNPRIVILEGED:
	case MASTER_FIELD_CHROOT:
		return dash || str_eq(v, STR("y")) || str_eq(v, STR("n"));
	case MASTER_FIELD_WAKEUP:
		if (str_ends(v, STR("?")))
			v = str_head(v, v.len - 1);
		return dash || is_number(v);
	case MASTER_FIELD_PROCESS_LIMIT:
		return dash || is_number(v);
	case MASTER_FIELD_SERVICE:
	case MASTER_FIELD_COMMAND:
	case MASTER_FIELD_COUNT:
		return v.len > 0;
	}
	return false;
}

/* { text } without its braces; what is wrong with them is noted and borne. */
static struct str
unbrace(struct arena *mem, struct str s, struct master_notes *notes)
{
	struct str inner = s;
	const char *why;
	size_t len = list_brace_len(s);

	if (list_unbrace(s, &inner, &why))
		return inner;
	if (len == 0) {
		note(notes,
		     str_printf(mem, "missing '}' in \"" PRI_STR "\"", STR_ARG(s)));
		return str_trim(str_skip(s, 1));
	}
	note(notes,
	     str_printf(mem, "syntax error after '}' in \"" PRI_STR "\"", STR_ARG(s)));
	return str_trim(str_skip(str_head(s, len - 1), 1));
}

/* "name = value" of a braced -o as "name=value". */
static struct str
setting_normal(struct arena *mem, struct str s, struct master_notes *notes)
{
	struct str name, value;

	if (s.len == 0 || *s.p == '=') {
		note(notes, str_printf(mem, "missing attribute name: \"" PRI_STR "\"",
				       STR_ARG(s)));
		return s;
	}
	if (!str_split(s, '=', &name, &value)) {
		note(notes,
		     str_printf(mem, "missing '=' after attribute name: \"" PRI_STR "\"",
				STR_ARG(s)));
		return s;
	}
	return str_printf(mem, PRI_STR "=" PRI_STR, STR_ARG(str_trim(name)),
			  STR_ARG(str_trim(value)));
}

static bool
add_arg(struct master_entry *out, struct str arg)
{
	if (out->arg_count == MASTER_ARGS_MAX)
		return false;
	out->args[out->arg_count++] = arg;
	return true;
}

/* Options are put into one form; from the first word that is none on all stays as it is,
 * because it belongs to the daemon (pipe's argv= has braces of its own). */
static bool
parse_args(struct arena *mem, struct str rest, struct master_entry *out,
	   struct master_notes *notes)
{
	struct str word;
	bool options = true, value_next = false;

	while (words_next(&rest, &word)) {
		bool is_value = value_next;

		value_next = false;
		if (is_value) {
			if (*word.p == '{')
				word = setting_normal(mem, unbrace(mem, word, notes),
						      notes);
		} else if (options) {
			if (*word.p == '{')
				word = unbrace(mem, word, notes);
			options = str_starts(word, STR("-")) && !str_eq(word, STR("--"));
			value_next = str_eq(word, STR("-o"));
		}
		/* "-oname=value" in one word. */
		if (options && !is_value && !value_next && str_starts(word, STR("-o"))) {
			if (!add_arg(out, STR("-o")))
				return false;
			word = str_skip(word, 2);
		}
		if (!add_arg(out, word))
			return false;
	}
	return true;
}

bool
master_entry_parse(struct arena *mem, struct str text, unsigned line,
		   struct master_entry *out, struct master_notes *notes,
		   struct master_fault *fault)
{
	struct str rest = text;

	memset(out, 0, sizeof(*out));
	out->line = line;
	out->text = text;
	if (str_contains(text, '\0')) {
		*fault = (struct master_fault){.kind = MASTER_FAULT_NUL};
		return false;
	}
	for (size_t i = 0; i < MASTER_FIELD_COUNT; i++) {
		if (!words_next(&rest, &out->field[i])) {
			*fault = (struct master_fault){.kind = MASTER_FAULT_COUNT};
			return false;
		}
	}
	for (size_t i = 0; i < MASTER_FIELD_COUNT; i++) {
		if (!field_is_good((enum master_field)i, out->field[i])) {
			*fault = (struct master_fault){
				MASTER_FAULT_FIELD, (enum master_field)i, out->field[i]};
			return false;
		}
	}
	if (!parse_args(mem, rest, out, notes)) {
		*fault = (struct master_fault){.kind = MASTER_FAULT_TOO_MANY};
		return false;
	}
	return true;
}

/* Whether args[i] is an option before the daemon's own arguments. */
static bool
in_options(const struct master_entry *entry, size_t at)
{
	for (size_t i = 0; i <= at && i < entry->arg_count; i++) {
		if (!str_starts(entry->args[i], STR("-")) ||
		    str_eq(entry->args[i], STR("--")))
			return false;
		if (str_eq(entry->args[i], STR("-o")))
			i++;
	}
	return true;
}

bool
master_entry_setting(const struct master_entry *entry, size_t i, struct str *name_out,
		     struct str *value_out)
{
	struct str name, value;

	if (i == 0 || i >= entry->arg_count || !str_eq(entry->args[i - 1], STR("-o")) ||
	    !in_options(entry, i - 1))
		return false;
	if (!str_split(entry->args[i], '=', &name, &value) || name.len == 0)
		return false;
	*name_out = str_trim(name);
	*value_out = str_trim(value);
	return true;
}

bool
master_entry_set(struct arena *mem, struct master_entry *entry, struct str name,
		 struct str value, struct err *err)
{
	struct str old_name, old_value;
	size_t at = 0;

	struct str text =
		str_printf(mem, PRI_STR "=" PRI_STR, STR_ARG(name), STR_ARG(value));

	for (size_t i = entry->arg_count; i-- > 1;) {
		if (master_entry_setting(entry, i, &old_name, &old_value) &&
		    str_eq(old_name, name)) {
			entry->args[i] = text;
			return true;
		}
	}
	if (entry->arg_count + 2 > MASTER_ARGS_MAX)
		return err_set(err, ERR_CONFIG, "more than %d arguments",
			       MASTER_ARGS_MAX);
	/* After the options, before what is the daemon's own. */
	while (at < entry->arg_count && in_options(entry, at))
		at += str_eq(entry->args[at], STR("-o")) ? 2 : 1;
	at = MIN_OF(at, entry->arg_count);
	memmove(&entry->args[at + 2], &entry->args[at],
		(entry->arg_count - at) * sizeof(entry->args[0]));
	entry->args[at] = STR("-o");
	entry->args[at + 1] = text;
	entry->arg_count += 2;
	return true;
}

bool
master_entry_unset(struct master_entry *entry, struct str name)
{
	struct str old_name, old_value;
	bool found = false;

	for (size_t i = entry->arg_count; i-- > 1;) {
		if (!master_entry_setting(entry, i, &old_name, &old_value) ||
		    !str_eq(old_name, name))
			continue;
		memmove(&entry->args[i - 1], &entry->args[i + 1],
			(entry->arg_count - i - 1) * sizeof(entry->args[0]));
		entry->arg_count -= 2;
		found = true;
	}
	return found;
}

bool
master_entry_set_field(struct arena *mem, struct master_entry *entry,
		       enum master_field field, struct str value,
		       struct master_notes *notes, struct master_fault *fault)
{
	struct str rest = value;

	if (field == MASTER_FIELD_COMMAND) {
		struct str word;

		if (!words_next(&rest, &word)) {
			*fault = (struct master_fault){.kind = MASTER_FAULT_COUNT};
			return false;
		}
		entry->field[field] = word;
		entry->arg_count = 0;
		if (parse_args(mem, rest, entry, notes))
			return true;
		*fault = (struct master_fault){.kind = MASTER_FAULT_TOO_MANY};
		return false;
	}
	value = str_trim(value);
	if (str_index_any(value, " \t\r\n") < value.len || !field_is_good(field, value)) {
		*fault = (struct master_fault){MASTER_FAULT_FIELD, field, value};
		return false;
	}
	entry->field[field] = value;
	return true;
}

static void
fold_line(struct buf *b, size_t *column)
{
	buf_add_c(b, "\n    ");
	*column = INDENT;
}

/* A value with blanks needs braces to be one word again. */
static struct str
quoted(struct arena *mem, struct str arg)
{
	if (str_index_any(arg, " \t\r\n") == arg.len)
		return arg;
	return str_printf(mem, "{" PRI_STR "}", STR_ARG(arg));
}

struct str
master_entry_command(struct arena *mem, const struct master_entry *entry, bool fold,
		     size_t at_column)
{
	struct buf *b = buf_new(mem, ENTRY_BYTES_MAX);
	size_t column = at_column + entry->field[MASTER_FIELD_COMMAND].len;
	bool after_setting = false;

	buf_add(b, entry->field[MASTER_FIELD_COMMAND]);
	for (size_t i = 0; i < entry->arg_count; i++) {
		struct str arg = entry->args[i];
		bool option = in_options(entry, i);
		bool setting =
			option && str_eq(arg, STR("-o")) && i + 1 < entry->arg_count;

		if (setting) {
			arg = quoted(mem, entry->args[++i]);
			arg = str_printf(mem, "-o " PRI_STR, STR_ARG(arg));
		}
		if (fold &&
		    (setting || after_setting || column + 1 + arg.len > COLUMN_LIMIT)) {
			fold_line(b, &column);
		} else {
			buf_add_char(b, ' ');
			column++;
		}
		buf_add(b, arg);
		column += arg.len;
		after_setting = setting;
	}
	return buf_str(b);
}

struct str
master_entry_format(struct arena *mem, const struct master_entry *entry, bool fold)
{
	static const size_t starts[] = {0, 11, 17, 25, 33, 41, 49, 57};
	struct buf *b = buf_new(mem, ENTRY_BYTES_MAX);

	for (size_t i = 0; i < MASTER_FIELD_COMMAND; i++) {
		buf_add(b, entry->field[i]);
		do
			buf_add_char(b, ' ');
		while (b->len < starts[i + 1]);
	}
	buf_add(b, master_entry_command(mem, entry, fold, b->len));
	return buf_str(b);
}
