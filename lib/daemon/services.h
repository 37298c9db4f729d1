/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The programs that master.cf may name, from services.def: how the master runs them. Used
 * by the master and by `postfix check`.
 */

#include <stdbool.h>

#include "base/str.h"

struct arena;

enum service_kind {
	SERVICE_WORKERS,
	SERVICE_CLIENTS,
	SERVICE_SINGLE,
	SERVICE_SINGLETON,
	SERVICE_FOLDED,
	SERVICE_LATER,
};

enum service_flag {
	SERVICE_AT_ONCE = 1u << 0,
	SERVICE_ALONE = 1u << 1,
	SERVICE_IN_PLACE = 1u << 2,
};

struct service_kind_row {
	struct str command;
	enum service_kind kind;
	unsigned flags;
	const char *what; /* for LATER: what does not work without it */
};

/* The row of a command, or NULL: a program that we know nothing about. */
const struct service_kind_row *service_find(struct str command);

/* How the service can be run: the row's kind, SINGLE for programs that we do not know;
 * but LATER's row does not matter once the program is there. daemon_directory/command
 * must be executable for anything to run. */
enum service_kind service_kind_of(struct str daemon_directory, struct str command);

/* Whether daemon_directory has the program. */
bool service_is_installed(struct str daemon_directory, struct str command);

/* Why the service (name, command) is not started: a warning's text in mem. False when
 * there is nothing to warn about. */
bool service_warning(struct arena *mem, struct str daemon_directory, struct str name,
		     struct str command, struct str *text_out);
