/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * postsuper's walks over whole directories: repair of names and places (-s), removal of
 * left-overs (-p), and acts on all messages (-d ALL).
 *
 * Repair of names goes in two passes, because a name that a file is to get may be one
 * that another file still has: first NEWID#FIX for the message and before it for its
 * logs, then NEWID. An interrupted repair is finished by the next one. A name that is
 * taken is left alone, with a warning.
 *
 * Every walk removes what is no file from these directories, and subdirectories that the
 * present hash_queue_depth has no use for.
 *
 * Memory: one open directory per level, 16 levels. SIGHUP, SIGINT and SIGTERM, which the
 * caller has blocked, end a walk between two files.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#include "act.h"

enum walk_task {
	WALK_STRUCTURE = 1u << 0,  /* -s */
	WALK_MATCH_LONG = 1u << 1, /* -S: long ids must match the inode, too */
	WALK_PURGE = 1u << 2,      /* -p */
	WALK_STRIP = 1u << 3,      /* second pass of -s */
};

enum { WALK_STALE_S = 7 * 86400 };

struct walk {
	struct act_scope scope;
	unsigned tasks;
	uint32_t acts;     /* bit 1u << enum act: on all messages */
	size_t done[ACTS]; /* messages */
	size_t renamed;    /* messages that got another name */
	size_t marked;     /* files that have #FIX in their names */
};

/* In the order in which directories are walked; ended by QUEUE_NAMES. */
extern const enum queue_name walk_order[];

/* One pass over the directories of scope.queues. False: a directory cannot be read, a
 * file not moved, or a signal came. */
bool walk_run(struct walk *w, struct err *err) MUST_CHECK;
