/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The queue directories (facts: queue 1 and 2.2): where a message lies says what is going
 * on with it, and its file mode says whether it is complete. All names are relative to a
 * descriptor of queue_directory that the caller opened.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"

struct arena;

/* QUEUE(name, directory, mode, owner is setgid group) */
#define QUEUE_ROWS(QUEUE)                                                                \
	QUEUE(MAILDROP, "maildrop", 0730)                                                \
	QUEUE(INCOMING, "incoming", 0700)                                                \
	QUEUE(ACTIVE, "active", 0700)                                                    \
	QUEUE(DEFERRED, "deferred", 0700)                                                \
	QUEUE(HOLD, "hold", 0700)                                                        \
	QUEUE(CORRUPT, "corrupt", 0700)                                                  \
	QUEUE(BOUNCE, "bounce", 0700)                                                    \
	QUEUE(DEFER, "defer", 0700)                                                      \
	QUEUE(TRACE, "trace", 0700)                                                      \
	QUEUE(FLUSH, "flush", 0700)                                                      \
	QUEUE(SAVED, "saved", 0700)

enum queue_name {
#define QUEUE(name, directory, mode) QUEUE_##name,
	QUEUE_ROWS(QUEUE)
#undef QUEUE
		QUEUE_NAMES
};

const char *queue_directory_name(enum queue_name q);
mode_t queue_directory_mode(enum queue_name q);
/* QUEUE_NAMES for an unknown word. */
enum queue_name queue_name_find(struct str word);

/* File modes that are states. */
enum {
	QUEUE_MODE_WRITING = 0600,
	QUEUE_MODE_READY = 0700,
	QUEUE_MODE_CORRUPT = 0400,
	QUEUE_MODE_UNTHROTTLE = 0040, /* group read: deliver now, whatever is dead */
	QUEUE_MODE_EXPIRE = 0010,     /* group execute: expire at the next occasion */
	QUEUE_MODE_MAILDROP = 0744,
};

struct queue_dirs {
	int root;        /* descriptor of queue_directory; not owned */
	int hash_depth;  /* hash_queue_depth, 1..16 */
	uint32_t hashed; /* bit 1u << enum queue_name: hash_queue_names */
	bool long_ids;   /* enable_long_queue_ids */
};

/* names: hash_queue_names. */
bool queue_dirs_init(struct queue_dirs *dirs, int root, struct str names,
		     int64_t hash_depth, bool long_ids, struct err *err) MUST_CHECK;

/* "deferred/A/A1B2C3" */
struct str queue_path(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
		      struct str id);

/* Create a file of mode QUEUE_MODE_WRITING under its final id; *created_us_out is the
 * time the id was made from. Missing subdirectories are made. The descriptor is the
 * caller's. */
bool queue_create(struct arena *mem, const struct queue_dirs *dirs, enum queue_name q,
		  int *fd_out, struct str *id_out, int64_t *created_us_out,
		  struct err *err) MUST_CHECK;

/* Move a file; makes the subdirectory of the target. ERR_PERM with errnum ENOENT: it is
 * not there. */
bool queue_move(const struct queue_dirs *dirs, enum queue_name from, enum queue_name to,
		struct str id, struct err *err) MUST_CHECK;

/* Give a file another name, by paths as queue_path() makes them; makes the subdirectory
 * of the target. Never replaces a file: ERR_PERM with errnum EEXIST. ENOENT as above. */
bool queue_rename(const struct queue_dirs *dirs, struct str from, struct str to,
		  struct err *err) MUST_CHECK;

/* A file that is not there counts as removed. */
bool queue_remove(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		  struct err *err) MUST_CHECK;

/* Open for reading (or reading and writing) without following links. */
bool queue_open(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		bool write, int *fd_out, struct err *err) MUST_CHECK;

/* Open for appending; creates the file (mode 0600) and its subdirectory. */
bool queue_open_append(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		       int *fd_out, struct err *err) MUST_CHECK;

/* Set both time stamps. */
bool queue_set_time(const struct queue_dirs *dirs, enum queue_name q, struct str id,
		    int64_t time_us, struct err *err) MUST_CHECK;

/* What a scanner finds at a name. */
enum queue_file_state {
	QUEUE_FILE_READY,
	QUEUE_FILE_INCOMPLETE, /* still being written, or left over */
	QUEUE_FILE_GONE,
	QUEUE_FILE_STRANGE, /* not a regular file, or linked twice for long: *warning
			       tells */
};

/* Is it a complete message? st_out is filled except for QUEUE_FILE_GONE. */
enum queue_file_state queue_check(struct arena *mem, const struct queue_dirs *dirs,
				  enum queue_name q, struct str id, struct stat *st_out,
				  struct str *warning_out);

/* ---- scanning ---- */

struct queue_scan;

/* A walk over one directory and its one-letter subdirectories, in the order of the file
 * system, with bounded memory (one open directory per level). Names that are no queue ids
 * are skipped. */
struct queue_scan *queue_scan_new(const struct queue_dirs *dirs, enum queue_name q);
/* False at the end, also when the directory cannot be read (queue_scan_error()). */
bool queue_scan_next(struct queue_scan *scan, struct arena *mem, struct str *id_out);
/* errno of the first directory that could not be opened; 0 if none. */
int queue_scan_error(const struct queue_scan *scan);
void queue_scan_free(struct queue_scan **scan);
