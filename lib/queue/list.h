/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What mailq shows: every complete message of maildrop, active, incoming, deferred and
 * hold, in this order and within a queue in the order of the file system, with its
 * recipients that are not done and why they still wait (facts: programs 2).
 *
 * Nothing is sorted or kept: one message is in memory at a time, of its recipients one,
 * and at most `remember_max` addresses. A message that moves during the walk may be seen
 * twice or not at all. A damaged file is shown as far as it can be read.
 *
 * Blocks on the disk. May be slow: the sink may yield or stop the walk.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "queue/dir.h"

enum {
	QUEUE_LIST_REMEMBER_MAX = 100000, /* upper bound of remember_max */
	QUEUE_LIST_JUMPS_MAX = 10000,     /* pointer records of one file */
	QUEUE_LIST_ENTRY_MAX = 65536,     /* bytes of one entry of a defer log */
};

struct queue_list_message {
	enum queue_name queue;
	struct str id;
	int64_t arrival_s;  /* of the time record, else of the file */
	int64_t size;       /* of the message, of the file where that is not known */
	bool forced_expire; /* postsuper -e */
	struct str sender;  /* external form; the null sender is named */
};

/* Who takes it. A function that returns false ends the walk. Strings are valid during the
 * call. Per message: message(), then recipient() any number of times, then end(). */
struct queue_list_sink {
	bool (*message)(void *arg, const struct queue_list_message *m);
	/* address: external form. reason: empty where none is known. */
	bool (*recipient)(void *arg, struct str address, struct str reason);
	bool (*end)(void *arg);
	/* For the log: "A1B2: malformed size record: ...". May be NULL. */
	void (*warning)(void *arg, const char *text);
	void *arg;
};

struct queue_list_options {
	struct str null_sender; /* empty_address_recipient */
	int64_t remember_max;   /* duplicate_filter_limit: recipients with a reason that
				   are not shown again; 0: QUEUE_LIST_REMEMBER_MAX */
};

/* False: the sink ended the walk. Directories and files that cannot be read are warnings.
 */
bool queue_list(const struct queue_dirs *dirs, const struct queue_list_options *options,
		const struct queue_list_sink *sink);
