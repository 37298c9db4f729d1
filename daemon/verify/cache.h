/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of addresses, in memory and in a file.
 *
 * The file has a line per change, "ADDRESS TAB STATUS TAB PROBED TAB UPDATED TAB REASON";
 * the last one of an address counts, and an empty rest ("ADDRESS TAB") removes it. Lines
 * are appended as results come, and the file is written anew when most of it is out of
 * date. Nothing is synced: what a crash loses is found out again. A line that is not
 * whole is left out.
 *
 * Limits: CACHE_ENTRIES_MAX addresses (the oldest one goes), CACHE_FILE_MAX bytes of
 * file, CACHE_REASON_MAX bytes of a reason. Times are seconds since 1970.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "config/verify_config.h"
#include "ipc/deliver.h"

struct map;

enum {
	CACHE_ENTRIES_MAX = 500000,
	CACHE_FILE_MAX = 256 << 20,
	CACHE_REASON_MAX = 500,
	CACHE_PROBE_S = 1000, /* a probe without a result for so long is lost */
};

struct cache_entry {
	enum verify_result status; /* VERIFY_PENDING: no result yet */
	int64_t probed;            /* when a probe was sent that has no result; 0: none */
	int64_t updated;           /* when the result came; 0: none */
	size_t reason_len;
	char reason[];
};

struct cache {
	const struct verify_config *config;
	struct map *entries; /* of struct cache_entry, by address */
	const char *path;    /* NULL: in memory only */
	int fd;              /* to append to; -1: none */
	size_t n_lines;      /* of the file */
};

/* config is kept by reference, and path must stay. */
void cache_init(struct cache *c, const struct verify_config *config, const char *path);
void cache_release(struct cache *c);

/* Read the file, if there is one, and keep it open to append to. False: nothing is kept
 * in it from now on. */
bool cache_open(struct cache *c, int64_t now, struct err *err) MUST_CHECK;
/* Write the file anew. After a failure the old one goes on, or none. */
bool cache_rewrite(struct cache *c, struct err *err) MUST_CHECK;
/* Is most of the file out of date? */
bool cache_is_stale(const struct cache *c);

/* What is known of the address; *reason_out lives until the next call that changes the
 * cache. *probe_out: it is time to send a probe, and that is noted. */
enum verify_result cache_query(struct cache *c, struct str address, int64_t now,
			       struct str *reason_out, bool *probe_out);
/* The result of a probe. One that did not work does not count against an earlier one that
 * did, until that is too old. */
void cache_update(struct cache *c, struct str address, enum verify_result status,
		  struct str reason, int64_t now);
/* A probe could not be sent: the next query may try. */
void cache_probe_failed(struct cache *c, struct str address);
/* Remove what is too old. */
void cache_expire(struct cache *c, int64_t now, size_t *kept_out, size_t *dropped_out);
