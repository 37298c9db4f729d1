/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An entry of master.cf as text in columns: checked for form, not yet for meaning. This
 * is what postconf -M, -F and -P show and change; master_cf.h makes services of it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

enum master_type {
	MASTER_INET,
	MASTER_UNIX,
	MASTER_UNIX_DGRAM,
	MASTER_FIFO,
	MASTER_PASS,
};

/* Columns, as postconf -F names them. */
enum master_field {
	MASTER_FIELD_SERVICE,
	MASTER_FIELD_TYPE,
	MASTER_FIELD_PRIVATE,
	MASTER_FIELD_UNPRIVILEGED,
	MASTER_FIELD_CHROOT,
	MASTER_FIELD_WAKEUP,
	MASTER_FIELD_PROCESS_LIMIT,
	MASTER_FIELD_COMMAND,
	MASTER_FIELD_COUNT
};

enum { MASTER_ENTRIES_MAX = 1000, MASTER_ARGS_MAX = 200 };

struct master_entry {
	unsigned line;
	struct str text; /* the logical line */
	struct str field[MASTER_FIELD_COUNT];
	/* Words after the command. Up to the first that is no option: outer { } removed,
	 * "-oNAME=VALUE" in two words, blanks around the = of an -o removed. */
	struct str args[MASTER_ARGS_MAX];
	size_t arg_count;
};

/* What is wrong with an entry. */
struct master_fault {
	enum {
		MASTER_FAULT_COUNT,
		MASTER_FAULT_FIELD,
		MASTER_FAULT_TOO_MANY,
		MASTER_FAULT_NUL
	} kind;
	enum master_field field;
	struct str value;
};

/* Warnings of parsing are appended to notes ("missing '=' after attribute name: ..."). */
struct master_notes {
	struct str *at;
	size_t count;
	size_t size;
};

/* Fill *out from a logical line; false and *fault if its form is wrong. */
bool master_entry_parse(struct arena *mem, struct str text, unsigned line,
			struct master_entry *out, struct master_notes *notes,
			struct master_fault *fault) MUST_CHECK;

/* The name=value of args[i], if args[i] is the text of an -o. */
bool master_entry_setting(const struct master_entry *entry, size_t i,
			  struct str *name_out, struct str *value_out);

/* Set the -o of that name (the last one of it), or add one after the command. */
bool master_entry_set(struct arena *mem, struct master_entry *entry, struct str name,
		      struct str value, struct err *err) MUST_CHECK;

/* Remove every -o of that name; false if there was none. */
bool master_entry_unset(struct master_entry *entry, struct str name);

/* Replace a column. The command's column takes the whole command line. */
bool master_entry_set_field(struct arena *mem, struct master_entry *entry,
			    enum master_field field, struct str value,
			    struct master_notes *notes,
			    struct master_fault *fault) MUST_CHECK;

/* As postconf -M prints it, without the last newline; fold: each -o on a line of its
 * own. */
struct str master_entry_format(struct arena *mem, const struct master_entry *entry,
			       bool fold);

/* The command column with its arguments, in one line or folded. */
struct str master_entry_command(struct arena *mem, const struct master_entry *entry,
				bool fold, size_t at_column);

const char *master_type_name(enum master_type type);
bool master_type_parse(struct str s, enum master_type *out) MUST_CHECK;
/* "service", "type", "private" ... */
const char *master_field_name(enum master_field field);
bool master_field_parse(struct str s, enum master_field *out) MUST_CHECK;
