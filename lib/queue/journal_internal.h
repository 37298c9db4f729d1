/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What journal.c writes and replay.c reads. Numbers are the machine's own: the files
 * never leave it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "queue/journal.h"

enum { JOURNAL_MAGIC = 0x4c4e4a48, JOURNAL_RECORD_MAGIC = 0x4345524a };
enum { JOURNAL_MESSAGE = 1, JOURNAL_REMOVED = 2 };

struct journal_head {
	uint32_t magic;
	uint32_t crc; /* of what follows */
	uint64_t sequence;
	int64_t mark; /* sync mark; 0: none */
	char boot[JOURNAL_BOOT_BYTES];
	uint32_t zero;
};

/* Then the id, the bytes, and zeros up to a multiple of 8. */
struct journal_record {
	uint32_t magic;
	uint32_t crc; /* of what follows, id and bytes */
	uint64_t sequence;
	int64_t time_us; /* monotonic */
	uint32_t bytes;
	uint8_t type;
	uint8_t queue;
	uint8_t id_len;
	uint8_t zero;
};

/* With the zeros. */
static inline size_t
journal_record_size(const struct journal_record *r)
{
	return (sizeof(*r) + r->id_len + r->bytes + 7) / 8 * 8;
}

uint32_t journal_head_crc(const struct journal_head *h);
/* The record's head as it is in memory, and all that belongs to it behind. */
uint32_t journal_record_crc(const char *record, const struct journal_record *r);

/* Open journal/NAME and lock it. -1 with EWOULDBLOCK: it is live. */
int journal_open_locked(int root, const char *path, int flags);
/* Sync the directory of the journal. */
bool journal_sync_directory(int root, struct err *err) MUST_CHECK;

struct journal_census {
	int live;
	int dead; /* marks of tools are neither */
	bool keeper;
};
bool journal_count(int root, struct journal_census *out, struct err *err) MUST_CHECK;
bool journal_is_mark(struct str name);
