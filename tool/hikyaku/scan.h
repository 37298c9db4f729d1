/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One pass over the logs for a key, and around each hit for the queue ids it leads to.
 *
 * Each block is searched for the key and for the ids that are open at the moment. A new
 * id is looked for backwards from there until its beginning (usually a few blocks); an id
 * whose beginning is not near goes into a second pass. An id is closed some blocks after
 * its "removed". With more than a few open ids, lines are walked instead and their ids
 * looked up; then lines that only mention an id in their middle (of a content filter) are
 * not found with it.
 *
 * What went into a content filter, or came out of one, leads to other messages with its
 * message-id near by.
 *
 * Lines with the key that every session has and that tell of no message (connect,
 * disconnect, TLS established, statistics) are counted but not kept unless asked for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { SCAN_IDS_MAX = 50000, SCAN_ODD_MAX = 10 };

struct arena;
struct scan;
struct source;
struct story;

struct scan_options {
	int64_t since_us, until_us; /* key lines outside are ignored */
	bool sessions;              /* keep the lines that every session has */
};

struct scan_facts {
	uint64_t bytes, lines;
	int64_t first_us, last_us; /* times of the first and the last line; 0: none */
	uint64_t damaged; /* lines that matched but are no log lines, or contain NUL */
	/* The first of those that have the key and are no log lines. */
	struct str odd[SCAN_ODD_MAX];
	size_t n_odd;
	uint64_t sessions; /* lines with the key that were not kept: see above */
	bool too_many;     /* more than SCAN_IDS_MAX messages: the rest is not followed */
};

/* key: an address, queue id, message-id, host name or IP address. */
struct scan *scan_new(struct arena *mem, struct story *story, struct str key,
		      struct scan_options options);

/* One log to its present end; file: its index, oldest first. */
void scan_run(struct scan *s, struct source *source, unsigned file);

/* Is there anything whose beginning was not found? Then run every source once more,
 * rewound, with scan_run_again(). */
bool scan_needs_second_pass(const struct scan *s);
void scan_run_again(struct scan *s, struct source *source, unsigned file);

const struct scan_facts *scan_facts(const struct scan *s);
