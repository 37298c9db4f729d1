/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * master.cf: one entry per service (master(5)). Parsed as a whole; an error names file
 * and line. `-` fields have their defaults filled in, and remember that they were `-`.
 *
 * The text of the entries as postconf shows and edits it: master_entry.h.
 * Limits: file 1 MiB, 1,000 services, 200 arguments per service.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/config.h"
#include "config/master_entry.h"

struct arena;

struct master_service {
	unsigned line; /* where the entry begins */
	enum master_type type;
	/* inet: the host part ("" if none, no brackets) and the port; others: "" and name
	 */
	struct str host;
	struct str port;
	struct str name; /* first column as written */
	bool is_private;
	bool unprivileged;
	bool chroot;
	int wakeup_s;        /* 0 is never */
	bool wakeup_if_used; /* the ? after the wake-up time */
	int process_limit;   /* 0 is no limit */
	struct str command;  /* file name of the program in daemon_directory */
	/* The columns as written; [COMMAND] is the command without arguments. */
	struct str field[MASTER_FIELD_COUNT];
	/* Arguments after the command, outer { } of an argument removed. `-o` and its
	 * text are two arguments: "-o", "name=value". */
	struct str *args;
	size_t arg_count;
	/* The -o settings among them, blanks around = removed, last of a name wins. */
	struct config_override *overrides;
	size_t override_count;
	unsigned verbose; /* number of v in -v options */
	bool debug;       /* -D */
};

struct master_services {
	const char *file;
	struct master_service *at;
	size_t count;
	struct str *warnings;
	size_t warning_count;
};

/* Read DIR/master.cf of the configuration. cfg gives default_process_limit and
 * compatibility_level for `-`. Two entries of one name and type: the last stays, with a
 * warning. */
bool master_cf_load(struct arena *mem, const struct config *cfg,
		    struct master_services *out, struct err *err) MUST_CHECK;

/* The same from memory; file is the name for messages. */
bool master_cf_parse(struct arena *mem, const struct config *cfg, struct str text,
		     const char *file, struct master_services *out,
		     struct err *err) MUST_CHECK;

/* By first column and type, or NULL. */
const struct master_service *master_cf_find(const struct master_services *services,
					    struct str name, enum master_type type);

/* Whether master_service_disable's list ("name/type", "name", "inet" ...) switches the
 * entry off. list is expanded. */
bool master_cf_disabled(struct str list, const struct master_service *service);
