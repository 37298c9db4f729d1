/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Queue ids, the names of queue files (enable_long_queue_ids).
 *
 *	short	microseconds in 5 hex digits, inode in hex
 *	long	seconds in base 52 (6 digits or more), microseconds in base 52 (4 digits),
 *		'z', inode in base 51
 *
 * Base 52 is the digits and the consonants, upper case first; base 51 the same without z.
 * The inode makes an id unique among the files that exist, the time among those that did.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
	QUEUE_ID_MAX = 255, /* bytes of the longest name taken as an id */
	QUEUE_ID_SIZE = QUEUE_ID_MAX + 1,
	QUEUE_HASH_DEPTH_MAX = 16,
	QUEUE_HASH_SIZE = 2 * QUEUE_HASH_DEPTH_MAX + 1,
};

struct queue_id_parts {
	bool is_long;
	int64_t seconds; /* since 1970; 0 in a short id, which does not have it */
	uint32_t usec;
	uint64_t inode;
};

/* An id with its NUL in out. Returns its length. */
size_t queue_id_make(char out[QUEUE_ID_SIZE], const struct queue_id_parts *parts);

/* 1 to QUEUE_ID_MAX ASCII letters, digits and underscores: safe as a file name. */
bool queue_id_is_valid(struct str id);
/* Does it have the long form? (A 'z' at offset 10 or later.) */
bool queue_id_is_long(struct str id);
/* Take an id apart; false if it is neither a short nor a long one. */
bool queue_id_split(struct str id, struct queue_id_parts *out) MUST_CHECK;

/* The directories between a hashed queue and the file: "A/B/" for depth 2, "" for 0. A
 * long id is hashed by the hex form of its microseconds, an id that is too short is
 * filled up with underscores. */
size_t queue_id_hash(struct str id, unsigned depth, char out[QUEUE_HASH_SIZE]);
