/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue directories below queue_directory, and files entering, moving between and
 * leaving them. Everything is done relative to one directory descriptor, so a process
 * that has no view of the rest of the file system can use it.
 *
 * The mode of a message file is its state: no owner-x while it is being written (every
 * scanner ignores it), all of rwx once complete. enum queue_mode has the bits.
 *
 * Long operations and what is worth a log line are the caller's business; nothing here
 * sleeps, retries without bound or logs.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "queue/id.h"

enum queue_name {
#define QUEUE(N, name, mode, kind) QUEUE_##N,
#include "queue/queue.def"
#undef QUEUE
	QUEUE_COUNT
};

enum queue_kind { QUEUE_KIND_MESSAGE, QUEUE_KIND_LOG, QUEUE_KIND_OTHER };

enum queue_mode {
	QUEUE_MODE_WRITING = 0600,
	QUEUE_MODE_READY = 0700,
	QUEUE_MODE_CORRUPT = 0400,
	QUEUE_MODE_FLUSH = 0040,  /* with READY: try now, whatever the time stamp */
	QUEUE_MODE_EXPIRE = 0010, /* with READY: give up after the next attempt */
	QUEUE_MODE_SUBMITTED =
		0744, /* complete, in maildrop, for a pickup of another uid */
};

enum {
	QUEUE_PATH_SIZE = 16 + QUEUE_HASH_SIZE + QUEUE_ID_SIZE,
	QUEUE_ENTER_TRIES = 1000,
};

const char *queue_name(enum queue_name queue);
enum queue_kind queue_kind(enum queue_name queue);
unsigned queue_mode(enum queue_name queue);
bool queue_by_name(struct str name, enum queue_name *out) MUST_CHECK;

/* How the queues are laid out: hash_queue_names, hash_queue_depth,
 * enable_long_queue_ids. */
struct queue_layout {
	uint32_t hashed; /* bit 1 << enum queue_name */
	unsigned depth;  /* 1 to QUEUE_HASH_DEPTH_MAX */
	bool long_ids;
};

/* Names separated by commas and blanks; those that are no queues are skipped, as they
 * have no directory to hash. */
uint32_t queue_layout_names(struct str names);

struct queue_dirs {
	int fd; /* queue_directory */
	struct queue_layout layout;
	bool no_tmpfile; /* O_TMPFILE or /proc was tried and does not work here */
};

/* Open queue_directory (any directory; "." for the working directory). */
bool queue_dirs_open(struct queue_dirs *q, const char *path,
		     const struct queue_layout *layout, struct err *err) MUST_CHECK;
void queue_dirs_close(struct queue_dirs *q);

/* Where a file is (to be), relative to queue_directory. The id must be valid. */
size_t queue_path(const struct queue_dirs *q, enum queue_name queue, struct str id,
		  char out[QUEUE_PATH_SIZE]);

/* Open an existing file; flags as openat(), with O_CLOEXEC and O_NOFOLLOW added. -1 with
 * err->errnum (ENOENT: not there) on failure. */
int queue_open(const struct queue_dirs *q, enum queue_name queue, struct str id,
	       int flags, struct err *err) MUST_CHECK;

/* Move from queue to queue under the same id; missing hash directories are made. */
bool queue_rename(const struct queue_dirs *q, enum queue_name from, enum queue_name to,
		  struct str id, struct err *err) MUST_CHECK;
/* Remove; a file that is not there is an error with errnum ENOENT. */
bool queue_remove(const struct queue_dirs *q, enum queue_name queue, struct str id,
		  struct err *err) MUST_CHECK;
/* Set the modification time, which is when a deferred message is due. */
bool queue_set_time(const struct queue_dirs *q, enum queue_name queue, struct str id,
		    int64_t seconds, struct err *err) MUST_CHECK;
/* Make the directories above path (relative to queue_directory), mode 0700. */
bool queue_make_dirs(const struct queue_dirs *q, const char *path,
		     struct err *err) MUST_CHECK;

/* A new file. */
struct queue_entry {
	int fd; /* open for reading and writing, mode QUEUE_MODE_WRITING */
	char id[QUEUE_ID_SIZE];
	int64_t created_us; /* the time in the id */
	enum queue_name queue;
	bool named; /* it can be found in the queue; else queue_publish() does that */
};

/* Make a file with a new id. It has its final name at once (scanners ignore it for its
 * mode), so a killed process leaves it behind. */
bool queue_enter(struct queue_dirs *q, enum queue_name queue, struct queue_entry *out,
		 struct err *err) MUST_CHECK;
/* The same, but where the file system can do it the file has no name yet, so a killed
 * process leaves nothing. */
bool queue_enter_unnamed(struct queue_dirs *q, enum queue_name queue,
			 struct queue_entry *out, struct err *err) MUST_CHECK;
/* Give it its name in queue (which may be another one by now: hold). To be followed by
 * fsync() of the descriptor, never preceded by it: on ext4 and XFS the fsync then covers
 * the name as well. */
bool queue_publish(struct queue_dirs *q, struct queue_entry *e, enum queue_name queue,
		   struct err *err) MUST_CHECK;
/* Close, and remove what has a name. */
void queue_abandon(struct queue_dirs *q, struct queue_entry *e);

/* What a scanner may do with a file. */
enum queue_state {
	QUEUE_STATE_READY,
	QUEUE_STATE_WRITING, /* not complete, or marked as corrupt: leave it alone */
	QUEUE_STATE_GONE,
	QUEUE_STATE_BAD /* not a regular file; err says so in Postfix's words */
};

struct queue_stat {
	struct stat st;
	/* More than one name for over a minute: somebody tampers with the queue. The
	 * caller logs "PATH: uid N: file has N links". */
	bool many_links;
};

/* The check before a scanner opens a file. */
enum queue_state queue_check(const struct queue_dirs *q, enum queue_name queue,
			     struct str id, int64_t now, struct queue_stat *out,
			     struct err *err) MUST_CHECK;

/* One walk over a queue, hashed or not, whatever the layout says: any directory with a
 * name of one character is entered. Memory is bounded; files that come or go meanwhile
 * may be seen or not. */
struct queue_scan {
	const struct queue_dirs *q;
	enum queue_name queue;
	unsigned depth; /* open directories, minus one */
	DIR *dirs[QUEUE_HASH_DEPTH_MAX + 1];
	char path[QUEUE_HASH_SIZE]; /* hash directories so far */
	bool all_names;
};

struct queue_scan_entry {
	const char *name; /* lives until the next call */
	const char *hash; /* "A/B/" or "" */
	bool is_dir;      /* only with all_names: a directory, reported when it is left */
};

/* all_names: also names that are no ids, and directories (for postsuper). */
bool queue_scan_open(struct queue_scan *s, const struct queue_dirs *q,
		     enum queue_name queue, bool all_names, struct err *err) MUST_CHECK;
bool queue_scan_next(struct queue_scan *s, struct queue_scan_entry *out) MUST_CHECK;
void queue_scan_close(struct queue_scan *s);
