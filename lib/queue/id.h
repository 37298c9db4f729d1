/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Queue ids (facts: queue 1.2). Short: five hexadecimal digits of the microsecond and the
 * inode number in hexadecimal. Long: seconds in base 52 (six or more), microseconds in
 * base 52 (four), `z`, inode in base 51; never used twice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

enum { QUEUE_ID_MAX = 100 };

struct str queue_id_make(struct arena *mem, bool is_long, int64_t time_us,
			 uint64_t inode);

/* 1..QUEUE_ID_MAX letters, digits or underscores: fit to be a file name. */
bool queue_id_is_valid(struct str id);
bool queue_id_is_long(struct str id);

/* The inode number that the id was made of; false if it does not tell. */
bool queue_id_inode(struct str id, uint64_t *inode_out);

/* The id as it should be for the file of this inode number, kept as far as it goes: what
 * postsuper -s makes of files that were copied from elsewhere. A long id becomes a short
 * one unless want_long; it keeps an inode number that is not the file's (it is unique
 * without) unless match_long. Empty: this is no id of ours. */
struct str queue_id_for_inode(struct arena *mem, struct str id, uint64_t inode,
			      bool want_long, bool match_long);

/* The `depth` characters that choose the subdirectory: the first of a short id, those of
 * the microseconds for a long one. "A/4/" for depth 2; empty for 0. */
struct str queue_id_hash_path(struct arena *mem, struct str id, int depth);
