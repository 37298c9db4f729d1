/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One pass over the logs for a key, and around each hit for the queue ids it leads to.
 *
 * Each block is searched for the key and for the ids that are open at the moment. A new
 * id is looked for backwards from there until its beginning (usually a few blocks); an id
 * whose beginning is not near goes into a second pass. An id is closed some blocks after
 * its "removed". With more than a few open ids, lines are walked instead and their ids
 * looked up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { SCAN_IDS_MAX = 50000 };

struct arena;
struct scan;
struct source;
struct story;

struct scan_range {
	int64_t since_us, until_us; /* key lines outside are ignored */
};

struct scan_facts {
	uint64_t bytes, lines;
	int64_t first_us, last_us; /* times of the first and the last line; 0: none */
	uint64_t damaged; /* lines that matched but are no log lines, or contain NUL */
	bool too_many;    /* more than SCAN_IDS_MAX messages: the rest is not followed */
};

/* key: an address, queue id, message-id, host name or IP address. */
struct scan *scan_new(struct arena *mem, struct story *story, struct str key,
		      struct scan_range range);

/* One log to its present end; file: its index, oldest first. */
void scan_run(struct scan *s, struct source *source, unsigned file);

/* Is there anything whose beginning was not found? Then run every source once more,
 * rewound, with scan_run_again(). */
bool scan_needs_second_pass(const struct scan *s);
void scan_run_again(struct scan *s, struct source *source, unsigned file);

const struct scan_facts *scan_facts(const struct scan *s);
