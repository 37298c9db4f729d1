/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The journal: small messages are on disk when their bytes are in one file that is synced
 * for many of them at once, and not each queue file for itself (facts: durability).
 *
 * Files
 *	journal/NAME.N below queue_directory, written by one process, which holds an
 *	exclusive lock (OFD) on it as long as it lives: "live"; without: "dead". A
 *	block with the head (sequence number, boot, sync mark), then records, each with
 *	length, sequence number and CRC32C. The file is filled with zeros when it is
 *	made, so that syncing what is written later changes no metadata. When it is
 *	full it begins anew under the next sequence number.
 *
 * Records
 *	message	the whole queue file, as it was when it was accepted (cleanup)
 *	removed	this id is done with: written before the file is removed (qmgr)
 *
 * Sync marks
 *	A process that has called syncfs() without an error knows: whatever the file
 *	system said when the call began is on disk, new files and removed ones alike.
 *	It writes the time of that moment into the head of its file. Records of the
 *	same boot, in all files, that are older than the newest mark are void. So a
 *	full file is not searched for what is still needed, and a tool that takes
 *	messages away (postsuper) makes a mark afterwards.
 *
 * Replay
 *	Before the first program of a run uses the queue, the dead files are read: a
 *	message that has a record, no later `removed`, and that no directory holds
 *	whole, is written again under its id. Then the file system is synced, and the
 *	dead files go. After a kill -9 there is nothing to write, because `removed` is
 *	written first. After an orderly stop there are no files.
 *
 * While qmgr lives, the file of a process that died is no reason for a replay: what its
 * records are for is in the queue files, as far as it is needed. qmgr syncs the file
 * system and removes it (journal_reclaim()).
 *
 * A failed write or sync ends the use of a file: it is neither written nor synced again,
 * and stays for the next replay. A new one is begun.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "queue/dir.h"

struct buf;

enum {
	JOURNAL_BLOCK = 4096,        /* the head's; records follow */
	JOURNAL_MESSAGE_MAX = 65536, /* bytes of a queue file; larger ones are fsynced */
	JOURNAL_BATCH_MAX = 1 << 20, /* bytes of one write */
	JOURNAL_FILES_MAX = 8,       /* per process, those given up included */
	JOURNAL_ALL_MAX = 32,        /* of all processes: nobody begins another one */
	JOURNAL_SIZE_MIN = 2 << 20,
	JOURNAL_BOOT_BYTES = 36
};

/* The files of one process. */
struct journal {
	int root;         /* queue_directory; not owned */
	const char *name; /* "cleanup", "qmgr" */
	int64_t size;     /* of a file */
	bool needs_keeper;
	char boot[JOURNAL_BOOT_BYTES];
	int fds[JOURNAL_FILES_MAX]; /* the last one is written to, the others are given up */
	unsigned n_fds;
	unsigned number; /* of the next file */
	bool usable;     /* fds[n_fds - 1] is written to */
	uint64_t sequence;
	int64_t at;
};

/* Reads which boot this is, nothing else: before the sandbox is entered. needs_keeper:
 * write only while a live qmgr.N shows that somebody notes what is removed. */
bool journal_init(struct journal *j, int root, const char *name, int64_t size,
		  bool needs_keeper, struct err *err) MUST_CHECK;

/* Append a record to a batch; the time is now. */
void journal_add_message(struct buf *batch, enum queue_name q, struct str id,
			 struct str file);
void journal_add_removed(struct buf *batch, struct str id);

/* Write a batch (not more than JOURNAL_BATCH_MAX bytes) and, with `sync`, wait until it
 * is on disk. Begins a file where there is none, and anew where it is full. Blocks.
 * False: nothing of the batch may be relied on. ERR_PERM: the journal cannot be used now
 * (nobody keeps the removals, too many files). The keeper writes after a replay only. */
bool journal_write(struct journal *j, struct str batch, bool sync,
		   struct err *err) MUST_CHECK;
/* Sync what was written without; false: the file was given up. Blocks. */
bool journal_sync(struct journal *j, struct err *err) MUST_CHECK;

/* Orderly end: everything in the queue is synced, then our files are removed. False: they
 * stay for the next start. */
bool journal_close(struct journal *j, struct err *err) MUST_CHECK;

/* Somebody took files away or renamed them: sync, and leave a mark, if there are live
 * files whose records could bring them back. boot: of a struct journal, NULL: is read. */
bool journal_mark(int root, const char *boot, struct err *err) MUST_CHECK;

/* Remove the files of those that died, when what they accepted is on disk. Only the
 * keeper may, with a `root` opened before its replay: a failed writeback since then is
 * reported to it. Blocks. */
bool journal_reclaim(int root, struct err *err) MUST_CHECK;

struct journal_replayed {
	int files;    /* dead ones that were read */
	int messages; /* valid records of messages */
	int restored; /* written again */
	int damaged;  /* places in the middle of a file that could not be read */
};

/* Does nothing while a live qmgr.N exists. dirs: where messages are looked for and
 * written to. boot: as above. On failure the dead files stay. */
bool journal_replay(const struct queue_dirs *dirs, const char *boot,
		    struct journal_replayed *out, struct err *err) MUST_CHECK;
